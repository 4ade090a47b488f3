"""What PDF pages and pictures have in common: how large they may be, when blank, how written."""

import io
import math
from dataclasses import dataclass

from PIL import Image

from colintern.images.decode import MIN_SIDE, BadImageError

_JPEG_QUALITY = 92  # thin strokes of small print stay sharp
# What Pillow raises about a picture that a format has no room for.
_WRITE_ERRORS = (OSError, ValueError, SystemError)


@dataclass(frozen=True)
class RenderSettings:
    """How pages are drawn.

    Attributes:
        dpi: dots per inch of PDF pages.
        max_pixels: a page that would have more is drawn smaller.
        max_side: and so is one whose longer side would have more pixels; a JPEG ends at 65,500.
    """

    dpi: int = 144
    max_pixels: int = 20_000_000
    max_side: int = 65_000

    def shrinking(self, width: float, height: float) -> float:
        """By what to multiply these sides, in pixels, so that they are within the limits.

        Raises:
            BadImageError: they are no sides of a page.
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
    sample = picture.resize((32, 32), Image.Resampling.NEAREST)  # tells most pages at once
    return is_even(sample) and is_even(picture)


def check_not_blank(picture: Image.Image) -> None:
    """Make sure that there is something on a page.

    Raises:
        BadImageError: there is not.
    """
    if is_blank(picture):
        raise BadImageError("blank: every pixel has the same colour")


def is_even(picture: Image.Image) -> bool:
    """As `is_blank`, pixel by pixel at once: for small pictures."""
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
