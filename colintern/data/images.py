"""From the bytes of a page image to an RGB picture, or to the reason why not."""

import io
import struct
import warnings
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

# A page of 100 megapixels is A4 at 1,100 dpi: more is a mistake or an attack.
MAX_PIXELS = 100_000_000
MIN_SIDE = 4  # pixels: nothing can be read on a page that is narrower

_GREY_TOPS = (255, 4_095, 65_535)
_ORIENTATION_TAG = 0x0112
# What Pillow raises on damaged files, by format.
_PILLOW_ERRORS = (
    OSError,
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
_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that exchange width and height


class BadImageError(Exception):
    """The reason, in a few words, why a page image cannot be used."""


@dataclass(frozen=True)
class ImageSize:
    """Width and height in pixels, as a person sees the picture (EXIF rotation applied)."""

    width: int
    height: int


def read_size(data: bytes) -> ImageSize:
    """The size of an image from its header alone; nothing is decoded.

    Raises:
        BadImageError: empty, not an image, larger than `MAX_PIXELS`, or too narrow.
    """
    image = open_image(io.BytesIO(data))
    _check_size(image)
    width, height = image.size
    if _orientation(image) in _SIDEWAYS:
        width, height = height, width
    return ImageSize(width, height)


def suffix_of(data: bytes) -> str:
    """How the name of a file with this image ends, without the dot.

    Raises:
        BadImageError: empty, or not an image.
    """
    name = str(open_image(io.BytesIO(data)).format)
    return _SUFFIXES.get(name, name.lower())


def decode(data: bytes) -> Image.Image:
    """The picture as 8-bit RGB: EXIF rotation applied, transparency laid on white.

    Floats are scaled to their own range, whole numbers to that of 8, 12 or 16 bits, the first that
    they fit into; Pillow's `convert` would clip them to white or black.

    Raises:
        BadImageError: empty, truncated, not an image, larger than `MAX_PIXELS`, or too narrow.
    """
    return decode_frame(open_image(io.BytesIO(data)), 0)


def decode_frame(image: Image.Image, number: int) -> Image.Image:
    """Frame `number` (from 0) of an image that `open_image` gave, as `decode` gives it.

    Raises:
        BadImageError: as `decode`; other frames may be whole.
    """
    try:
        image.seek(number)
        _check_size(image)
        orientation = _orientation(image)
        image.load()
        return _to_rgb(image if orientation == 1 else ImageOps.exif_transpose(image))
    except _PILLOW_ERRORS as error:
        raise BadImageError(f"damaged image ({error})") from error


def num_frames(image: Image.Image) -> int:
    """The pages in an image file; an animation's first picture is all of it that is a page.

    Raises:
        BadImageError: the frames cannot be counted.
    """
    try:
        return getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
    except _PILLOW_ERRORS as error:
        raise BadImageError(f"damaged image ({error})") from error


def open_image(file: BinaryIO) -> Image.Image:
    """An image of which only the header is read; `file` stays open for its pixels.

    Its frames may be of different sizes: each is checked when it is decoded.

    Raises:
        BadImageError: empty, or not an image.
    """
    if not file.seek(0, io.SEEK_END):
        raise BadImageError("empty image")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # ours is the limit
            image = Image.open(file, formats=_FORMATS)
    except UnidentifiedImageError as error:
        raise BadImageError("not an image of a known format") from error
    except Image.DecompressionBombError as error:
        raise BadImageError(f"too large (more than {MAX_PIXELS:,} pixels)") from error
    except _PILLOW_ERRORS as error:
        raise BadImageError(f"damaged image ({error})") from error
    return image


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise BadImageError(
            f"too large ({image.width:,} x {image.height:,} pixels; the limit is {MAX_PIXELS:,})"
        )
    if min(image.size) < MIN_SIDE:
        raise BadImageError(f"too narrow ({image.width:,} x {image.height:,} pixels)")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, from what stands before the pixels; 1 is upright, or not told."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # Pillow would decode the whole picture to look behind its pixels
    try:
        return image.getexif().get(_ORIENTATION_TAG, 1)
    except _PILLOW_ERRORS:
        return 1  # the picture may be whole where its EXIF is not


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _scaled_to_8_bits(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        picture = image.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return image.convert("RGB")


def _scaled_to_8_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image, dtype=np.float64)
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise ValueError("no pixel is a number")
    low, high = float(finite.min()), float(finite.max())
    if image.mode != "F":
        # The scale that the numbers were meant on: 8, 12 or 16 bits; beyond, their own range.
        low = min(0.0, low)
        high = next((float(top) for top in _GREY_TOPS if high <= top), high)
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    scaled = (values - low) / max(high - low, 1e-12) * 255.0
    return Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8))
