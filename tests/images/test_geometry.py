"""Pages are as large, and as upright, as a viewer shows them."""

import struct

import numpy as np
import pytest
from PIL import Image

from colintern.images import decode as images
from colintern.images.decode import decode, read_size
from tests.images.helpers import GREY, PAGE
from tests.images.pictures import (
    encoded,
    exif,
    png,
    tiff,
)


def _phys(x: int, y: int, unit: int) -> tuple[bytes, bytes]:
    return b"pHYs", struct.pack(">IIB", x, y, unit)


SHAPES = {
    "plain": (encoded(GREY), (40, 30)),
    "a fax": (tiff((PAGE, {262: 1, 282: 204, 283: 98, 296: 2})), (40, 62)),
    "a fax in centimetres": (tiff((PAGE, {262: 1, 282: 80, 283: 40, 296: 3})), (40, 60)),
    "a ratio without a unit": (tiff((PAGE, {262: 1, 282: 1, 283: 2, 296: 1})), (80, 30)),
    "a fine fax": (tiff((PAGE, {262: 1, 282: 204, 283: 391})), (77, 30)),
    "nearly equal": (tiff((PAGE, {262: 1, 282: 300, 283: 299})), (40, 30)),
    "only one resolution": (tiff((PAGE, {262: 1, 282: 300})), (40, 30)),
    "no resolution": (tiff((PAGE, {262: 1, 282: 0, 283: 300})), (40, 30)),
    "absurd": (tiff((PAGE, {262: 1, 282: 300, 283: 1})), (40, 30)),
    "a fax on its side": (tiff((PAGE, {262: 1, 274: 6, 282: 204, 283: 98})), (62, 40)),
    "packed": (encoded(GREY, "TIFF", compression="tiff_lzw", dpi=(204, 98)), (40, 62)),
    "PNG in metres": (png(PAGE, [_phys(8000, 4000, 1)]), (40, 60)),
    "PNG's ratio": (png(PAGE, [_phys(1, 2, 0)]), (80, 30)),
    "JFIF in inches": (encoded(GREY, "JPEG", dpi=(200, 100)), (40, 60)),
    "EXIF of a JPEG": (encoded(GREY, "JPEG", exif=exif(1, x=200.0, y=100.0)), (40, 60)),
    "EXIF of a WEBP": (encoded(GREY, "WEBP", exif=exif(8, x=200.0, y=100.0)), (60, 40)),
    "BMP": (encoded(GREY, "BMP", dpi=(200, 100)), (40, 60)),
    "late EXIF of a PNG": (png(PAGE, [], [(b"eXIf", exif(6).tobytes()[6:])]), (30, 40)),
    "a wrong orientation": (encoded(GREY, "JPEG", exif=exif(9)), (40, 30)),
    "a thumbnail first": (
        tiff((PAGE[:8, :10], {254: 1, 262: 1}), (PAGE, {262: 1, 274: 8})),
        (30, 40),
    ),
    "XMP of a TIFF": (
        tiff((PAGE, {262: 1, 700: b'<x tiff:Orientation="6"/>'})),
        (30, 40),
    ),
    "a GIF": (encoded(GREY, "GIF"), (40, 30)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_size_in_a_plan_is_the_size_of_the_picture(name):
    """A shard planned, and a manifest written, for another shape than the model sees."""
    data, expected = SHAPES[name]
    size = read_size(data)
    assert (size.width, size.height) == decode(data).size == expected


def test_a_page_that_would_be_enlarged_beyond_the_limit_becomes_smaller(monkeypatch):
    """A fax of 60 megapixels that takes the memory of 120, or is refused."""
    monkeypatch.setattr(images, "MAX_PIXELS", 1_500)
    data = encoded(GREY, "TIFF", dpi=(204, 98))
    size = read_size(data)
    assert (size.width, size.height) == decode(data).size == (30, 48)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pages_are_upright_whatever_the_format(orientation):
    """A page mirrored or upside down, which looks well by its size."""
    corner = np.zeros((30, 40), np.uint8)
    corner[:10, :15] = 255
    picture = Image.fromarray(corner)
    found = [
        np.asarray(decode(data))
        for data in (
            tiff((corner, {262: 1, 274: orientation})),
            encoded(picture, exif=exif(orientation)),
            encoded(picture, "WEBP", lossless=True, exif=exif(orientation)),
        )
    ]
    height, width = found[0].shape[:2]
    # EXIF: where the stored top left corner is seen.
    top, left = orientation in (1, 2, 5, 6), orientation in (1, 4, 5, 8)
    assert found[0][0 if top else height - 1, 0 if left else width - 1, 0] == 255
    assert found[0][height - 1 if top else 0, width - 1 if left else 0, 0] == 0
    for other in found[1:]:
        assert np.array_equal(found[0], other)
