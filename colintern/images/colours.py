"""Pixels of every mode as 8-bit RGB on white, box by box.

Beside the picture and its result only copies of one box of about a million pixels are in memory.
"""

from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from colintern.images.grey import boxes, grey_values
from colintern.images.profiles import to_srgb

_GREY = ("1", "L", "LA", "La")
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
# What Pillow makes of a PNG's samples, but not of the sample that is transparent.
_SMALL_GREY = {"L;2": 85, "L;4": 17}  # factors
_DEEP_RGB = "RGB;16B"


class Colours:
    """What the pixels of an image mean.

    Args:
        image: only its header is looked at.
    """

    def __init__(self, image: Image.Image) -> None:
        transparent = image.info.get("transparency")
        if isinstance(image, PngImageFile) and transparent is not None:
            transparent = _as_decoded(transparent, image.tile[0].args)
        self._values = grey_values(image, transparent)
        if self._values is not None or image.mode in _GREY:
            self._mode = "L"
        else:
            self._mode = image.mode if image.mode in ("CMYK", "LAB") else "RGB"
        self._transparent = transparent
        self._to_srgb = to_srgb(image, self._mode)
        #: Whether they are 8-bit grey or RGB values, seen as they are stored.
        self.are_plain = (
            image.mode in ("L", "RGB")
            and self._values is None
            and self._transparent is None
            and self._to_srgb is None
        )

    def to_rgb(self, image: Image.Image) -> Image.Image:
        """The pixels of the image as a person sees them; what is transparent is white.

        Raises:
            ValueError: no pixel is a number, or Pillow cannot convert the mode.
        """
        if self._values is None and self._to_srgb is None and not self._has_alpha(image):
            picture = image.convert("RGB")
            picture.info.clear()  # without this, a profile would be applied again
            return picture
        to_grey = self._values.to_grey(image) if self._values else None
        picture = Image.new("RGB", image.size)
        for box in boxes(image.size):
            pixels = image.crop(box)
            picture.paste(self._on_white(to_grey(pixels) if to_grey else pixels), box[:2])
        return picture

    def _has_alpha(self, pixels: Image.Image) -> bool:
        return pixels.mode in _WITH_ALPHA or self._transparent is not None

    def _on_white(self, pixels: Image.Image) -> Image.Image:
        if not self._has_alpha(pixels):
            return self._seen(pixels.convert(self._mode))
        if self._values is None and self._transparent is not None:
            pixels.info["transparency"] = self._transparent
        pixels = pixels.convert(f"{self._mode}A")
        colours = self._seen(pixels.convert(self._mode))  # without transparency
        colours.putalpha(pixels.getchannel("A"))
        white = Image.new("RGBA", colours.size, "white")
        return Image.alpha_composite(white, colours).convert("RGB")

    def _seen(self, colours: Image.Image) -> Image.Image:
        return self._to_srgb(colours) if self._to_srgb else colours.convert("RGB")


def _as_decoded(transparent: Any, samples: Any) -> Any:
    """A PNG's transparent grey or colour in the numbers that Pillow makes of its samples."""
    if samples in _SMALL_GREY:
        return transparent * _SMALL_GREY[samples]
    if samples == _DEEP_RGB:
        return tuple(number >> 8 for number in transparent)
    return transparent
