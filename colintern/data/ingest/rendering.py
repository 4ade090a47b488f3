"""One file's pages as images: PDFs by PDFium, pictures by Pillow; or the reasons why not.

PDFium is not thread-safe: this runs in one process a renderer.
"""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pypdfium2 as pdfium
from PIL import Image

from colintern import storage
from colintern.data.entities import Page
from colintern.data.images import MIN_SIDE, BadImageError, ImageFile
from colintern.data.ingest.findings import Refusal
from colintern.data.ingest.sources import SourceFile
from colintern.data.pixels import pixels_sha256
from colintern.errors import PathError

_POINTS_PER_INCH = 72
_JPEG_QUALITY = 92  # thin strokes of small print stay sharp
_KEPT_FORMATS = ("PNG", "JPEG", "MPO")  # MPO: a JPEG with a preview behind it, as cameras write it


@dataclass(frozen=True)
class RenderSettings:
    """How pages are drawn.

    Attributes:
        dpi: dots per inch of PDF pages.
        max_pixels: a page that would have more is drawn smaller.
    """

    dpi: int = 144
    max_pixels: int = 20_000_000


def count_pages(file: SourceFile) -> int:
    """The pages of a PDF or a picture.

    Raises:
        BadImageError: the file is empty, damaged or encrypted.
    """
    if file.kind == "picture":
        with _open_file(file) as data:
            return ImageFile(data).num_pages()
    document = _open_pdf(file)
    try:
        return len(document)
    finally:
        document.close()


def render(
    file: SourceFile, first: int, last: int, settings: RenderSettings
) -> Iterator[Page | Refusal]:
    """Pages `first` (from 0) up to `last`, which is left out, of a file.

    Yields:
        A page with the id `{name}#{number}` (just the name for a picture of one page), or the
        reason why there is none.
    """
    if file.kind == "picture":
        yield from _pictures(file, first, last, settings)
        return
    try:
        document = _open_pdf(file)
    except BadImageError as error:
        yield Refusal(file.name, None, str(error))
        return
    try:
        for index in range(first, last):
            number = index + 1
            try:
                image = _jpeg(_drawn(document, index, settings))
                yield Page(f"{file.name}#{number:04d}", image, file.name, number=number)
            except BadImageError as error:
                yield Refusal(file.name, number, str(error))
    finally:
        document.close()


def _open_pdf(file: SourceFile) -> pdfium.PdfDocument:
    data: bytes | str = file.path
    try:
        if not storage.is_local(file.path):
            data = storage.read_bytes(file.path)
        elif not storage.read_bytes(file.path, 0, 1):
            raise BadImageError("empty file")
    except PathError as error:
        raise BadImageError(str(error)) from error
    try:
        document = pdfium.PdfDocument(data)
        document.init_forms()  # else what was typed into a form is not drawn
        return document
    except pdfium.PdfiumError as error:
        is_locked = "password" in str(error).lower()
        reason = "encrypted: it opens with a password only" if is_locked else "damaged PDF"
        raise BadImageError(reason) from error
    except OSError as error:
        raise BadImageError(f"cannot be read ({error.strerror})") from error


def _drawn(document: pdfium.PdfDocument, index: int, settings: RenderSettings) -> Image.Image:
    try:
        page = document[index]
        width, height = page.get_size()
        scale = settings.dpi / _POINTS_PER_INCH
        scale *= min(1.0, math.sqrt(settings.max_pixels / max(1.0, width * height * scale**2)))
        if min(width, height) * scale < MIN_SIDE:
            raise BadImageError(f"too narrow ({width:.0f} x {height:.0f} points)")
        # In the byte order of Pillow, which takes the pixels as they are, without a copy.
        bitmap = page.render(scale=scale, rev_byteorder=True)  # pyright: ignore[reportArgumentType]
        picture = bitmap.to_pil()
        page.close()
    except pdfium.PdfiumError as error:
        raise BadImageError("damaged page") from error
    _refuse_blank(picture)
    return picture


def _pictures(
    file: SourceFile, first: int, last: int, settings: RenderSettings
) -> Iterator[Page | Refusal]:
    """The pages of a picture; PNG and JPEG that everybody sees alike keep their bytes."""
    try:
        with _open_file(file) as data:
            images = ImageFile(data)
            num_pages = _num_pages(file, images)
            for index in range(first, last):
                number = index + 1
                page_id = f"{file.name}#{number:04d}" if num_pages > 1 else file.name
                try:
                    page, pixels = _picture(images, index, data, settings)
                    yield Page(page_id, page, file.name, number=number, pixels_sha256=pixels)
                except BadImageError as error:
                    yield Refusal(file.name, number if num_pages > 1 else None, str(error))
    except BadImageError as error:
        yield Refusal(file.name, None, str(error))


def _open_file(file: SourceFile) -> BinaryIO:
    """A file for reading; one of another machine is in memory."""
    try:
        if not storage.is_local(file.path):
            return io.BytesIO(storage.read_bytes(file.path))
        return storage.local_path(file.path).open("rb")
    except PathError as error:
        raise BadImageError(str(error)) from error
    except OSError as error:
        raise BadImageError(f"cannot be read ({error.strerror})") from error


def _num_pages(file: SourceFile, images: ImageFile) -> int:
    """The pages of an open picture, which were counted before for those that may have many."""
    num_pages = images.num_pages()
    if num_pages > 1 and not file.may_have_pages:
        raise BadImageError(f"a TIFF with {num_pages:,} pages: give it a name that ends in .tif")
    return num_pages


def _picture(
    images: ImageFile, index: int, data: BinaryIO, settings: RenderSettings
) -> tuple[bytes, str]:
    """The bytes of a page, and the hash of what `decode` makes of them."""
    can_stay = images.format in _KEPT_FORMATS and images.is_plain(index)
    picture = images.decode(index)
    _refuse_blank(picture)
    small = _within(picture, settings.max_pixels)
    if small is picture and can_stay:
        data.seek(0)
        return data.read(), pixels_sha256(picture)
    return _png(small), pixels_sha256(small)


def _refuse_blank(picture: Image.Image) -> None:
    sample = picture.resize((32, 32), Image.Resampling.NEAREST)  # tells most pages at once
    if not _is_even(sample):
        return
    if _is_even(picture):
        raise BadImageError("blank: every pixel has the same colour")


def _is_even(picture: Image.Image) -> bool:
    return all(low == high for low, high in picture.getextrema())  # pyright: ignore


def _within(picture: Image.Image, max_pixels: int) -> Image.Image:
    pixels = picture.width * picture.height
    if pixels <= max_pixels:
        return picture
    scale = math.sqrt(max_pixels / pixels)
    size = (max(MIN_SIDE, int(picture.width * scale)), max(MIN_SIDE, int(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()
