"""One file's pages as images: pictures by Pillow, PDFs by `pdf`; or the reasons why not."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image

from colintern import storage
from colintern.data.entities import Page
from colintern.data.images import BadImageError, decode_frame, num_frames, open_image
from colintern.data.ingest.drawn import RenderSettings, png, refuse_blank, within
from colintern.data.ingest.findings import Refusal
from colintern.data.ingest.pdf import pages_of_pdf
from colintern.data.ingest.pdf_outline import outline_of
from colintern.data.ingest.sources import SourceFile
from colintern.errors import PathError

_KEPT_FORMATS = ("PNG", "JPEG", "MPO")  # MPO: a JPEG with a preview behind it, as cameras write it


@dataclass(frozen=True)
class Contents:
    """What is in a file: how many pages, and what is to be said about it."""

    num_pages: int
    warnings: tuple[str, ...] = ()


def contents_of(file: SourceFile) -> Contents:
    """The pages of a PDF, or the frames of a picture.

    Raises:
        BadImageError: the file is empty, damaged or encrypted, or shows something else than its
            content.
    """
    if file.kind == "picture":
        with _open_file(file) as data:
            return Contents(num_frames(open_image(data)))
    outline = outline_of(file)
    return Contents(len(outline.indices), outline.warnings)


def render(
    file: SourceFile, first: int, last: int, settings: RenderSettings
) -> Iterator[Page | Refusal]:
    """Pages `first` (from 0) up to `last`, which is left out, of a file.

    Yields:
        A page with the id `{name}#{number}` (just the name for a picture of one frame), or the
        reason why there is none; a warning follows its page.
    """
    pages = _frames if file.kind == "picture" else pages_of_pdf
    yield from pages(file, first, last, settings)


def _frames(
    file: SourceFile, first: int, last: int, settings: RenderSettings
) -> Iterator[Page | Refusal]:
    """The frames of a picture; upright 8-bit PNG and JPEG keep their bytes."""
    try:
        with _open_file(file) as data:
            image = open_image(data)
            num_pages = _num_frames(file, image)
            for index in range(first, last):
                number = index + 1
                page_id = f"{file.name}#{number:04d}" if num_pages > 1 else file.name
                try:
                    page = _frame(image, index, data, settings)
                    yield Page(page_id, page, file.name, number=number)
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


def _num_frames(file: SourceFile, image: Image.Image) -> int:
    """The frames of an open picture, which were counted before for those that may have many."""
    num_pages = num_frames(image)
    if num_pages > 1 and not file.may_have_pages:
        raise BadImageError(f"a TIFF with {num_pages:,} pages: give it a name that ends in .tif")
    return num_pages


def _frame(image: Image.Image, index: int, data: BinaryIO, settings: RenderSettings) -> bytes:
    picture = decode_frame(image, index)
    refuse_blank(picture)
    small = within(picture, settings)
    if small is picture and _can_stay(image):
        data.seek(0)
        return data.read()
    return png(small)


def _can_stay(image: Image.Image) -> bool:
    """Whether every reader sees the picture as it is: PNG or JPEG, 8 bits, opaque, upright."""
    return (
        image.format in _KEPT_FORMATS
        and image.mode in ("L", "RGB")
        and "transparency" not in image.info
        and image.getexif().get(0x0112, 1) == 1
    )
