"""PDF pages as images, by PDFium; or why they are bad.

PDFium is not thread-safe: each renderer is a process.
"""

from collections.abc import Iterator

import pypdfium2 as pdfium
from PIL import Image

from colintern.data.entities import Page
from colintern.images.decode import MIN_SIDE, BadImageError
from colintern.ingestion.drawn import RenderSettings, check_not_blank, is_blank, jpeg
from colintern.ingestion.findings import BadItem
from colintern.ingestion.pdf_outline import open_pdf, outline_of
from colintern.ingestion.pdf_text import Letters, look_for_letters
from colintern.ingestion.sources import SourceFile
from colintern.ingestion.text_layer import text_layer

_POINTS_PER_INCH = 72
_NOT_DRAWN_SHARE = 0.1  # of a page's letters: fewer may be hidden on purpose


def pages_of_pdf(
    file: SourceFile, first: int, last: int, settings: RenderSettings
) -> Iterator[Page | BadItem]:
    """Pages `first` (from 0) up to `last`, which is left out, of those that load.

    Yields:
        A page with the id `{name}#{number}` and its text layer, or a bad item in its place; and,
        after a page, a warning if letters are missing on it.
    """
    try:
        outline = outline_of(file)
        with open_pdf(file, outline.update) as document:
            for number, index in enumerate(outline.indices[first:last], first + 1):
                unit = outline.user_units.get(number - 1, 1.0)
                try:
                    page, picture = _drawn(document, index, unit, settings)
                    warning = _letters_not_drawn(page, picture, outline.may_lack_fonts)
                    text = text_layer(page)
                    page.close()
                    page_id = file.page_id(number, len(outline.indices))
                    yield Page(page_id, jpeg(picture), file.name, text, number)
                    if warning:
                        yield BadItem(file.name, number, warning, is_warning=True)
                except BadImageError as error:
                    yield BadItem(file.name, number, str(error))
    except BadImageError as error:
        yield BadItem(file.name, None, str(error))


def _drawn(
    document: pdfium.PdfDocument, index: int, user_unit: float, settings: RenderSettings
) -> tuple[pdfium.PdfPage, Image.Image]:
    try:
        page = document[index]
        width, height = page.get_size()
        scale = settings.dpi / _POINTS_PER_INCH * user_unit
        scale *= settings.shrinking(width * scale, height * scale)
        if min(width, height) * scale < MIN_SIDE:
            raise BadImageError(f"too narrow ({width:.0f} x {height:.0f} points)")
        # In the byte order of Pillow, which can use the pixels without a copy.
        bitmap = page.render(scale=scale, rev_byteorder=True)  # pyright: ignore[reportArgumentType]
        return page, bitmap.to_pil()
    except pdfium.PdfiumError as error:
        raise BadImageError("damaged page") from error


def _letters_not_drawn(
    page: pdfium.PdfPage, picture: Image.Image, may_lack_fonts: bool
) -> str | None:
    """A warning, when a part of the letters is missing.

    Raises:
        BadImageError: all letters are missing, or the page is blank.
    """
    if not may_lack_fonts and not is_blank(picture):
        return None
    try:
        letters = look_for_letters(page, picture)
    except pdfium.PdfiumError:
        letters = Letters(0, 0)
    if letters.num_seen and letters.share_not_drawn == 1.0:
        raise BadImageError(letters.reason())
    check_not_blank(picture)
    return letters.reason() if letters.share_not_drawn >= _NOT_DRAWN_SHARE else None
