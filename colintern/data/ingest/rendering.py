"""One file's pages as images: PDFs by PDFium, pictures by Pillow; or the reasons why not.

PDFium is not thread-safe: this runs in one process a renderer.
"""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass

import pypdfium2 as pdfium
from PIL import Image

from colintern import storage
from colintern.data.entities import Page
from colintern.data.images import MIN_SIDE, BadImageError, decode_frames
from colintern.data.ingest.findings import Refusal
from colintern.data.ingest.sources import SourceFile
from colintern.errors import StorageError

_POINTS_PER_INCH = 72
_JPEG_QUALITY = 92  # thin strokes of small print stay sharp
_KEPT_FORMATS = (b"\x89PNG", b"\xff\xd8\xff")  # bytes of PNG and JPEG stay as they are


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
    """The pages of a PDF; 1 for a picture, whose frames belong together.

    Raises:
        BadImageError: the PDF is empty, damaged or encrypted.
    """
    if file.kind == "picture":
        return 1
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
        A page with the id `{name}#{number}` (just the name for a picture of one frame), or the
        reason why there is none.
    """
    if file.kind == "picture":
        yield from _pictures(file, settings)
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
        elif storage.size_of(file.path) == 0:
            raise BadImageError("empty file")
    except StorageError as error:
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
        bitmap = page.render(scale=scale)  # pyright: ignore[reportArgumentType]
        picture = bitmap.to_pil().convert("RGB")
        page.close()
    except pdfium.PdfiumError as error:
        raise BadImageError("damaged page") from error
    _refuse_blank(picture)
    return picture


def _pictures(file: SourceFile, settings: RenderSettings) -> Iterator[Page | Refusal]:
    """The frames of a picture; upright 8-bit PNG and JPEG keep their bytes."""
    try:
        data = storage.read_bytes(file.path)
    except StorageError as error:
        yield Refusal(file.name, None, str(error))
        return
    number = 0
    frames = decode_frames(data)
    try:
        pictures = _with_last(frames)
        for number, (picture, is_last) in enumerate(pictures, 1):
            is_alone = number == 1 and is_last
            page_id = file.name if is_alone else f"{file.name}#{number:04d}"
            try:
                _refuse_blank(picture)
            except BadImageError as error:
                yield Refusal(file.name, None if is_alone else number, str(error))
                continue
            small = _within(picture, settings.max_pixels)
            stays = is_alone and small is picture and _can_stay(data)
            yield Page(page_id, data if stays else _png(small), file.name, number=number)
    except BadImageError as error:
        yield Refusal(file.name, number + 1 if number else None, str(error))


def _with_last(frames: Iterator[Image.Image]) -> Iterator[tuple[Image.Image, bool]]:
    """Each frame, and whether it is the last; a damaged one behind it is raised in its turn."""
    waiting = next(frames)
    failure: BadImageError | None = None
    while True:
        try:
            following = next(frames, None)
        except BadImageError as error:
            following, failure = None, error
        yield waiting, following is None and failure is None
        if failure:
            raise failure
        if following is None:
            return
        waiting = following


def _can_stay(data: bytes) -> bool:
    """Whether every reader sees the picture as it is: PNG or JPEG, 8 bits, opaque, upright."""
    if not data.startswith(_KEPT_FORMATS):
        return False
    with Image.open(io.BytesIO(data)) as image:
        return (
            image.mode in ("L", "RGB")
            and "transparency" not in image.info
            and (image.getexif().get(0x0112, 1) == 1)
        )


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
