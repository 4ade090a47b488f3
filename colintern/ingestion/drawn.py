"""What PDF pages and pictures share: the largest size, what is blank, how images are written."""

import io
import math
from dataclasses import dataclass

from PIL import Image

from colintern.images.decode import MIN_SIDE, BadImageError

_JPEG_QUALITY = 92  # keeps thin strokes of small print sharp
# What Pillow raises about a picture that is too large for a format.
_WRITE_ERRORS = (OSError, ValueError, SystemError)


@dataclass(frozen=True)
class RenderSettings:
    """How pages are drawn.

    Attributes:
        dpi: dots per inch of PDF pages.
        max_pixels: a page that would have more is drawn smaller.
        max_side: the same for the pixels of the longer side; a JPEG can have 65,500.
    """

    dpi: int = 144
    max_pixels: int = 20_000_000
    max_side: int = 65_000

    def shrinking(self, width: float, height: float) -> float:
        """The factor, at most 1, that brings these sides, in pixels, within the limits.

        Raises:
            BadImageError: they are not finite and positive.
        """
        if not (math.isfinite(width) and math.isfinite(height) and min(width, height) > 0):
            raise BadImageError(f"no size ({width:g} x {height:g} pixels)")
        by_pixels = math.sqrt(self.max_pixels / width / height)
        return min(1.0, by_pixels, self.max_side / max(width, height))


def within(picture: Image.Image, settings: RenderSettings) -> Image.Image:
    """The picture, or a smaller one where it is beyond the limits."""
    scale = settings.shrinking(*picture.size)
    if scale == 1.0:
        return picture
    size = (max(MIN_SIDE, int(picture.width * scale)), max(MIN_SIDE, int(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def is_blank(picture: Image.Image) -> bool:
    """Whether every pixel has the same colour."""
    sample = picture.resize((32, 32), Image.Resampling.NEAREST)  # decides for most pages at once
    return is_even(sample) and is_even(picture)


def check_not_blank(picture: Image.Image) -> None:
    """Make sure that a page is not blank.

    Raises:
        BadImageError: it is.
    """
    if is_blank(picture):
        raise BadImageError("blank: every pixel has the same colour")


def is_even(picture: Image.Image) -> bool:
    """As `is_blank`, without a look at a sample first: for small pictures."""
    return all(low == high for low, high in picture.getextrema())  # pyright: ignore


def jpeg(picture: Image.Image) -> bytes:
    """The picture as a JPEG.

    Raises:
        BadImageError: it cannot be written.
    """
    return _written(picture, "JPEG", quality=_JPEG_QUALITY)


def png(picture: Image.Image) -> bytes:
    """The picture as a PNG.

    Raises:
        BadImageError: it cannot be written.
    """
    return _written(picture, "PNG", compress_level=3)


def _written(picture: Image.Image, kind: str, **keys: int) -> bytes:
    buffer = io.BytesIO()
    try:
        picture.save(buffer, kind, **keys)
    except _WRITE_ERRORS as error:
        size = f"{picture.width:,} x {picture.height:,} pixels"
        raise BadImageError(f"cannot be written as {kind} ({size}: {error})") from error
    return buffer.getvalue()
