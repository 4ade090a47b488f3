"""How a viewer turns and stretches a stored picture: by its orientation and resolution."""

import math
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

from PIL import Image
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

_WIDTH, _HEIGHT, _ORIENTATION, _X_RESOLUTION, _Y_RESOLUTION = 256, 257, 274, 282, 283
_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_JPEGS = ("JPEG", "MPO")
_SIDEWAYS = (5, 6, 7, 8)  # orientations that exchange width and height
_EQUAL = 1.01  # 300 and 299.9 dots an inch are meant as one resolution
_LARGEST_RATIO = 10.0  # no fax or printer has more: a larger one is a mistake


@dataclass(frozen=True)
class Geometry:
    """From the stored pixels to the picture that a person sees.

    Attributes:
        size: width and height of the stored pixels.
        orientation: EXIF's number, 1 to 8; 1 is upright.
        density: dots an inch along the stored width, divided by those along the height.
    """

    size: tuple[int, int]
    orientation: int = 1
    density: float = 1.0

    @property
    def is_plain(self) -> bool:
        """Whether the picture is seen as it is stored."""
        return self.orientation == 1 and self.density == 1.0

    def shown_size(self, max_pixels: int) -> tuple[int, int]:
        """Width and height that the picture has when it is seen.

        The side with fewer dots an inch is enlarged to the resolution of the other; a picture that
        would then have more than `max_pixels` becomes smaller as a whole.
        """
        width, height = self.size
        if self.density != 1.0:
            wide, high = width * max(1.0, 1 / self.density), height * max(1.0, self.density)
            scale = math.sqrt(min(1.0, max_pixels / (wide * high)))
            rounded = round if scale == 1.0 else math.floor
            width, height = max(1, rounded(wide * scale)), max(1, rounded(high * scale))
        return (height, width) if self.orientation in _SIDEWAYS else (width, height)

    def turned(self, picture: Image.Image) -> Image.Image:
        """The stored pixels upright."""
        if self.orientation == 1:
            return picture
        return picture.transpose(_TRANSPOSES[self.orientation])

    def stretched(self, picture: Image.Image, max_pixels: int) -> Image.Image:
        """The upright pixels in the size in which they are seen."""
        size = self.shown_size(max_pixels)
        if picture.size == size:
            return picture
        return picture.resize(size, Image.Resampling.BICUBIC)


def geometry_of(image: Image.Image, file: BinaryIO) -> Geometry:
    """The geometry of an image by its header; no pixel may be read yet.

    Args:
        image: opened from `file`.
        file: its position stays.
    """
    if isinstance(image, TiffImageFile):
        # By the tags: Pillow exchanges the sides itself, before or after the pixels are read.
        size = image.tag_v2[_WIDTH], image.tag_v2[_HEIGHT]
        resolution = image.tag_v2.get(_X_RESOLUTION), image.tag_v2.get(_Y_RESOLUTION)
        return Geometry(size, _orientation(_exif(image, file)), _density(resolution))
    exif = _exif(image, file)
    return Geometry(image.size, _orientation(exif), _density(_resolution(image, exif)))


def _exif(image: Image.Image, file: BinaryIO) -> Image.Exif:
    """The EXIF data; empty if it is damaged, as the picture may be whole."""
    try:
        if not isinstance(image, PngImageFile) or "exif" in image.info:
            return image.getexif()
        exif = Image.Exif()  # Pillow would decode the whole picture to look behind its pixels
        exif.load(_late_exif(file))
        return exif
    except (OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, struct.error):
        return Image.Exif()


def _late_exif(file: BinaryIO) -> bytes:
    """The EXIF chunk of a PNG, wherever it stands; empty when there is none."""
    position = file.tell()
    try:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"eXIf":
                return file.read(length)
            file.seek(length + 4, 1)  # its checksum too
        return b""
    finally:
        file.seek(position)


def _orientation(exif: Image.Exif) -> int:
    found = exif.get(_ORIENTATION, 1)
    return found if found in _TRANSPOSES else 1


def _resolution(image: Image.Image, exif: Image.Exif) -> tuple[Any, Any]:
    """Dots along width and height, in any unit; the format's own value comes before EXIF."""
    info = image.info
    told = info.get("jfif_density") or info.get("aspect") or info.get("dpi")
    # Pillow makes a JPEG's `dpi` of EXIF's width alone; JFIF's 1 x 1 without a unit says nothing.
    is_empty = image.format in _JPEGS and not info.get("jfif_unit") and told and told[0] == told[1]
    if told is None or is_empty:
        return exif.get(_X_RESOLUTION), exif.get(_Y_RESOLUTION)
    return told


def _density(resolution: tuple[Any, Any]) -> float:
    """The ratio of two resolutions; 1 if it is unknown or cannot be right."""
    try:
        ratio = float(resolution[0]) / float(resolution[1])
    except (TypeError, ValueError, ZeroDivisionError):
        return 1.0
    is_meant = _EQUAL <= max(ratio, 1 / ratio if ratio > 0 else 0.0) <= _LARGEST_RATIO
    return ratio if is_meant else 1.0
