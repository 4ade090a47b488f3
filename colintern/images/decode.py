"""From the bytes of a page image to the RGB picture that a person sees, or why it is bad."""

import io
import struct
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from colintern.images.colours import Colours
from colintern.images.geometry import geometry_of
from colintern.images.tiff import open_white_is_zero, page_frames, unpack_natively

# A page of 100 megapixels is A4 at 1,100 dpi: more is a mistake or an attack.
MAX_PIXELS = 100_000_000
MIN_SIDE = 4  # pixels: nothing can be read on a page that is narrower

# What Pillow raises on damaged files, by format.
_PILLOW_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    SyntaxError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    struct.error,
)
_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "PPM", "JPEG2000")  # none runs a program
_SUFFIXES = {"JPEG": "jpg", "MPO": "jpg", "JPEG2000": "jp2", "TIFF": "tif"}  # else the format
open_white_is_zero()
# Pillow warns above its own limit; ours is `MAX_PIXELS`. Switched off once, not around each call:
# `catch_warnings` changes the filters of all threads, and pages are decoded in several.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)


class BadImageError(Exception):
    """The reason, in a few words, why a page image cannot be used."""


@dataclass(frozen=True)
class ImageSize:
    """Width and height in pixels, as a person sees the picture: upright, its pixels square."""

    width: int
    height: int


class ImageFile:
    """An image file of which only the header is read; its pages are decoded one by one.

    The pages are the frames of a TIFF that are no overviews, thumbnails or masks, numbered from 0;
    of other formats the first frame, which is all of an animation that is a page.

    Args:
        file: stays open for the pixels.

    Raises:
        BadImageError: empty, or not an image.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._image: Image.Image | None = _open(file)
        self.format = str(self._image.format)

    def num_pages(self) -> int:
        """How many there are.

        Raises:
            BadImageError: the frames cannot be counted.
        """
        with _damages():
            return sum(1 for _ in self._frames())

    def size(self, page: int = 0) -> ImageSize:
        """The very size that `decode` gives, from the header; no pixel is read.

        Raises:
            BadImageError: the header is damaged, the page larger than `MAX_PIXELS` or too narrow.
        """
        with _damages():
            image = self._at(page)
            return ImageSize(*geometry_of(image, self._file).shown_size(MAX_PIXELS))

    def is_plain(self, page: int = 0) -> bool:
        """Whether every reader of the file sees what `decode` gives, whichever tags it obeys.

        That is 8-bit grey or RGB, opaque, upright, its pixels square, its colours those of sRGB.

        Raises:
            BadImageError: as `size`.
        """
        with _damages():
            image = self._at(page)
            return geometry_of(image, self._file).is_plain and Colours(image).are_plain

    def decode(self, page: int = 0) -> Image.Image:
        """A page as 8-bit RGB as a careful viewer shows it; see `decode`, the function.

        Raises:
            BadImageError: truncated, or as `size`; other pages may be whole.
        """
        with _damages():
            image = self._at(page)
            self._image = None  # so that its pixels are freed as soon as they are converted
            geometry, colours = geometry_of(image, self._file), Colours(image)
            is_tiff = isinstance(image, TiffImageFile)
            if is_tiff:
                unpack_natively(image)
            image.load()  # Pillow turns a TIFF by itself, but no other format
            picture = colours.to_rgb(image)
            del image
            picture = picture if is_tiff else geometry.turned(picture)
            return geometry.stretched(picture, MAX_PIXELS)

    def _at(self, page: int) -> Image.Image:
        """The image at a page, none of whose pixels is read."""
        self._image = self._image or _open(self._file)
        frame = next(islice(self._frames(), page, None), None)
        if frame is None:
            raise BadImageError(f"has no page {page + 1}")
        self._image.seek(frame)
        _check_size(self._image)
        return self._image

    def _frames(self) -> Iterable[int]:
        return page_frames(self._file) if self.format == "TIFF" else (0,)


def read_size(data: bytes) -> ImageSize:
    """The size of the picture that `decode` gives, from the header alone; nothing is decoded.

    Raises:
        BadImageError: empty, not an image, larger than `MAX_PIXELS`, or too narrow.
    """
    return ImageFile(io.BytesIO(data)).size()


def suffix_of(data: bytes) -> str:
    """How the name of a file with this image ends, without the dot.

    Raises:
        BadImageError: empty, or not an image.
    """
    name = ImageFile(io.BytesIO(data)).format
    return _SUFFIXES.get(name, name.lower())


def decode(data: bytes) -> Image.Image:
    """The first page as 8-bit RGB, as a careful viewer shows it.

    It is upright, and the side with fewer dots an inch is enlarged to the resolution of the other.
    Colours are converted to sRGB by the embedded profile, or a PNG's gamma; transparency is laid on
    white. Grey values beyond 8 bits are scaled (`grey.py`); Pillow's `convert` would clip them to
    white or black.

    Memory at the peak, beside the encoded bytes: 50 MB and 8 bytes a pixel in every mode, of which
    4 are the result and stay. Where Pillow or a decoder has extra buffers more was measured:
    11 for unequal resolutions, progressive JPEG, and a TIFF that lies on its side; 16 for WEBP and
    a TIFF packed in one strip; 24 for JPEG 2000. So it is 2.5 GB at most.

    Raises:
        BadImageError: empty, truncated, not an image, larger than `MAX_PIXELS`, or too narrow.
    """
    return ImageFile(io.BytesIO(data)).decode()


def _open(file: BinaryIO) -> Image.Image:
    if not file.seek(0, io.SEEK_END):
        raise BadImageError("empty image")
    try:
        with _damages():
            return Image.open(file, formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise BadImageError(f"too large (more than {MAX_PIXELS:,} pixels)") from error


@contextmanager
def _damages() -> Iterator[None]:
    """Turn what Pillow raises about a damaged file into the reason why the page is bad."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise BadImageError("not an image of a known format") from error
    except _PILLOW_ERRORS as error:
        raise BadImageError(f"damaged image ({error})") from error


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise BadImageError(
            f"too large ({image.width:,} x {image.height:,} pixels; the limit is {MAX_PIXELS:,})"
        )
    if min(image.size) < MIN_SIDE:
        raise BadImageError(f"too narrow ({image.width:,} x {image.height:,} pixels)")
