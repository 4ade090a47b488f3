"""The pages of one file as images: pictures by Pillow, PDFs by `pdf`; or why they are bad."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from colintern import storage
from colintern.data.entities import Page
from colintern.errors import PathError
from colintern.images.decode import BadImageError, ImageFile
from colintern.images.pixels import pixels_sha256
from colintern.ingestion.drawn import RenderSettings, check_not_blank, png, within
from colintern.ingestion.findings import BadItem
from colintern.ingestion.pdf import pages_of_pdf
from colintern.ingestion.pdf_outline import outline_of
from colintern.ingestion.sources import SourceFile

_KEPT_FORMATS = ("PNG", "JPEG", "MPO")  # MPO: a JPEG with a preview behind it, as cameras write it


@dataclass(frozen=True)
class Contents:
    """What is in a file: the number of its pages, and warnings."""

    num_pages: int
    warnings: tuple[str, ...] = ()


def contents_of(file: SourceFile) -> Contents:
    """The pages of a PDF or a picture.

    Raises:
        BadImageError: the file is empty, damaged or encrypted, or does not show its real content.
    """
    if file.kind == "picture":
        with _open_file(file) as data:
            return Contents(ImageFile(data).num_pages())
    outline = outline_of(file)
    return Contents(len(outline.indices), outline.warnings)


def render(
    file: SourceFile, first: int, last: int, settings: RenderSettings
) -> Iterator[Page | BadItem]:
    """Pages `first` (from 0) up to `last`, which is left out, of a file.

    Yields:
        A page with the id `{name}#{number}` (just the name for a picture of one page), or the
        bad item in its place; a warning follows its page.
    """
    pages = _pictures if file.kind == "picture" else pages_of_pdf
    yield from pages(file, first, last, settings)


def _pictures(
    file: SourceFile, first: int, last: int, settings: RenderSettings
) -> Iterator[Page | BadItem]:
    """The pages of a picture; plain PNG and JPEG files keep their bytes."""
    try:
        with _open_file(file) as data:
            images = ImageFile(data)
            num_pages = _num_pages(file, images)
            for index in range(first, last):
                number = index + 1
                page_id = file.page_id(number, num_pages)
                try:
                    page, pixels = _picture(images, index, data, settings)
                    yield Page(page_id, page, file.name, number=number, pixels_sha256=pixels)
                except BadImageError as error:
                    yield BadItem(file.name, number if num_pages > 1 else None, str(error))
    except BadImageError as error:
        yield BadItem(file.name, None, str(error))


def _open_file(file: SourceFile) -> BinaryIO:
    """A file for reading; one that is not local is read into memory."""
    try:
        if not storage.is_local(file.path):
            return io.BytesIO(storage.read_bytes(file.path))
        return storage.local_path(file.path).open("rb")
    except PathError as error:
        raise BadImageError(str(error)) from error
    except OSError as error:
        raise BadImageError(f"cannot be read ({error.strerror})") from error


def _num_pages(file: SourceFile, images: ImageFile) -> int:
    """The number of pages of an open picture; only a TIFF by name may have several."""
    num_pages = images.num_pages()
    if num_pages > 1 and not file.may_have_pages:
        raise BadImageError(f"a TIFF with {num_pages:,} pages: give it a name that ends in .tif")
    return num_pages


def _picture(
    images: ImageFile, index: int, data: BinaryIO, settings: RenderSettings
) -> tuple[bytes, str]:
    """The bytes of a page, and the hash of its decoded pixels."""
    can_stay = images.format in _KEPT_FORMATS and images.is_plain(index)
    picture = images.decode(index)
    check_not_blank(picture)
    small = within(picture, settings)
    if small is picture and can_stay:
        data.seek(0)
        return data.read(), pixels_sha256(picture)
    return png(small), pixels_sha256(small)
