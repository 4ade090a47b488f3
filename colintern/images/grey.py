"""Grey values of more than 8 bits, with a sign, or in floats, as 8-bit grey."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

_BOX_WIDTH, _BOX_HEIGHT = 16_384, 64  # pixels: so large are the copies that are in memory
_TOPS = (255, 4_095, 65_535)  # of 8, 12 and 16 bits
_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # tags of a TIFF
_WHITE_IS_ZERO, _UNSIGNED, _SIGNED = 0, 1, 2


@dataclass(frozen=True)
class GreyValues:
    """What such values mean.

    Attributes:
        type: numpy's name of their type, where it is another than Pillow's mode says.
        white_is_zero: they are the darker the larger they are.
        transparent: the value that is transparent, if one is.
    """

    type: str | None = None
    white_is_zero: bool = False
    transparent: int | None = None

    def to_grey(self, image: Image.Image) -> Callable[[Image.Image], Image.Image]:
        """What makes 8-bit grey, or grey with transparency, of any box of the image.

        Floats, and whole numbers of which some are negative, are scaled to their own range; others
        to that of 8, 12 or 16 bits, the first that they fit into, or from 0 to the largest.

        Raises:
            ValueError: no pixel is a number.
        """
        low, high = self._range(image)
        if self.white_is_zero:
            low, high = high, low
        span = high - low or 1e-12

        def convert(box: Image.Image) -> Image.Image:
            values = self._of(box)
            numbers = np.nan_to_num(
                values.astype(np.float64), nan=low, posinf=max(low, high), neginf=min(low, high)
            )
            grey = Image.fromarray(np.clip((numbers - low) / span * 255, 0, 255).astype(np.uint8))
            if self.transparent is not None:
                grey.putalpha(
                    Image.fromarray(np.where(values == self.transparent, 0, 255).astype(np.uint8))
                )
            return grey

        return convert

    def _of(self, box: Image.Image) -> NDArray:
        values = np.asarray(box)
        return values if self.type is None else values.view(self.type)

    def _range(self, image: Image.Image) -> tuple[float, float]:
        lows, highs = [], []
        for box in boxes(image.size):
            values = self._of(image.crop(box))
            finite = values[np.isfinite(values)]
            if finite.size:
                lows.append(float(finite.min()))
                highs.append(float(finite.max()))
        if not lows:
            raise ValueError("no pixel is a number")
        low, high = min(lows), max(highs)
        if image.mode == "F" or low < 0:
            return low, high
        # The scale that the numbers were meant on.
        return 0.0, next((float(top) for top in _TOPS if high <= top), high)


def grey_values(image: Image.Image, transparent: int | None) -> GreyValues | None:
    """How the values of an image are to be read, by its header; None for pixels of other kinds."""
    bits = sample_format = photometric = None
    if isinstance(image, TiffImageFile):
        tags = image.tag_v2
        bits, sample_format = tags.get(_BITS, (1,))[0], tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))[0]
        photometric = tags.get(_PHOTOMETRIC)
    is_signed_8 = image.mode == "L" and sample_format == _SIGNED
    if not (is_signed_8 or image.mode in ("I", "F") or image.mode.startswith("I;16")):
        return None
    type_name = None
    if is_signed_8:
        type_name = "int8"
    elif image.mode == "I" and (bits, sample_format) == (32, _UNSIGNED):
        type_name = "uint32"
    return GreyValues(type_name, photometric == _WHITE_IS_ZERO, transparent)


def boxes(size: tuple[int, int]) -> Iterator[tuple[int, int, int, int]]:
    """Boxes that cover a picture, each of about a million pixels at most."""
    width, height = size
    for top in range(0, height, _BOX_HEIGHT):
        for left in range(0, width, _BOX_WIDTH):
            yield left, top, min(width, left + _BOX_WIDTH), min(height, top + _BOX_HEIGHT)
