"""Tones and colours are those that a viewer shows."""

import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from colintern.images.decode import decode
from tests.images.helpers import GREY, PAGE, image_file
from tests.images.pictures import (
    cmyk_profile,
    encoded,
    exif,
    grey_profile,
    packed_tiff,
    png,
    rgb_profile,
    tiff,
)

DEEP = PAGE.astype(np.uint16) * 257


COLOUR = Image.new("RGB", (12, 8), (120, 150, 110))


def _row(data: bytes) -> list[int]:
    """The grey values along the middle of a page, one of each half."""
    grey = np.asarray(decode(data).convert("L"))
    middle = grey[grey.shape[0] // 2]
    return [int(middle[len(middle) // 4]), int(middle[3 * len(middle) // 4])]


SIGNED = np.where(PAGE > 0, 3_000, -3_000).astype(np.int16)


FLOATS = (PAGE / 255).astype(np.float32)


TONES = {
    "16 bits": (tiff((DEEP, {262: 1})), [0, 255]),
    "16 bits, big-endian": (tiff((DEEP, {262: 1}), order=">"), [0, 255]),
    "16 bits, white is zero": (tiff((DEEP, {262: 0})), [255, 0]),
    "floats": (tiff((FLOATS, {262: 1, 339: 3})), [0, 255]),
    "floats, white is zero": (
        tiff((FLOATS, {262: 0, 339: 3})),
        [255, 0],
    ),
    "16 bits, white is zero, big-endian": (tiff((DEEP, {262: 0}), order=">"), [255, 0]),
    "16 bits, white is zero, packed": (packed_tiff(DEEP, {262: 0}), [255, 0]),
    "16 bits, packed, big-endian": (packed_tiff(DEEP, {262: 1}, ">"), [0, 255]),
    "floats, packed": (packed_tiff(FLOATS, {262: 1, 339: 3}), [0, 255]),
    "floats, packed, big-endian": (packed_tiff(FLOATS, {262: 0, 339: 3}, ">"), [255, 0]),
    "signed, packed, big-endian": (packed_tiff(SIGNED + 1, {262: 1, 339: 2}, ">"), [0, 255]),
    "12 bits": (tiff((DEEP // 16, {262: 1})), [0, 255]),
    "8 bits, white is zero": (tiff((PAGE, {262: 0})), [255, 0]),
    "signed 16 bits": (tiff((SIGNED, {262: 1, 339: 2})), [0, 255]),
    "signed 16 bits, big-endian": (tiff((SIGNED, {262: 1, 339: 2}), order=">"), [0, 255]),
    "signed 8 bits": (tiff(((SIGNED // 30).astype(np.int8), {262: 1, 339: 2})), [0, 255]),
    "unsigned 32 bits": (tiff((DEEP.astype(np.uint32) * 65_537, {262: 1})), [0, 255]),
    "fax, white is zero": (
        encoded(GREY.convert("1"), "TIFF", compression="group4"),
        [0, 255],
    ),
    "a transparent 16-bit grey": (png(DEEP, [(b"tRNS", b"\0\0")]), [255, 255]),
    "another transparent 16-bit grey": (png(DEEP, [(b"tRNS", b"\0\1")]), [0, 255]),
    "a transparent grey of 2 bits": (
        png(PAGE // 255 * 2 + 1, [(b"tRNS", b"\0\1")], bits=2),
        [255, 255],
    ),
    "a transparent grey of 4 bits": (
        png(PAGE // 255 * 8 + 3, [(b"tRNS", b"\0\3")], bits=4),
        [255, 187],
    ),
    "a transparent 16-bit colour": (
        png(
            np.stack([np.where(PAGE > 0, 0x0506, 0x0304).astype(np.uint16)] * 3, -1),
            [(b"tRNS", b"\3\4" * 3)],
        ),
        [255, 5],
    ),
    "premultiplied grey": (
        tiff((np.stack([PAGE // 2, np.full_like(PAGE, 127)], -1), {262: 1, 338: 1})),
        [128, 255],
    ),
    "premultiplied colour": (
        tiff((np.stack([PAGE // 2] * 3 + [np.full_like(PAGE, 127)], -1), {262: 2, 338: 1})),
        [128, 255],
    ),
    "a sample of no meaning": (
        tiff((np.stack([PAGE] * 3 + [PAGE * 0], -1), {262: 2, 338: 0})),
        [0, 255],
    ),
    "CMYK of a JPEG": (encoded(GREY.convert("CMYK"), "JPEG"), [0, 255]),
    "CMYK of a TIFF": (encoded(GREY.convert("CMYK"), "TIFF"), [0, 255]),
    "a palette with transparency": (
        encoded(GREY.convert("P"), transparency=bytes([0, *[255] * 255])),
        [255, 255],
    ),
    "the first picture of an animation": (
        encoded(
            GREY, "WEBP", lossless=True, save_all=True, append_images=[Image.new("L", (40, 30))]
        ),
        [0, 255],
    ),
    "a linear PNG": (png(PAGE // 255 * 55, [(b"gAMA", struct.pack(">I", 100_000))]), [0, 128]),
    "a PNG of sRGB's gamma": (
        png(PAGE // 255 * 55, [(b"gAMA", struct.pack(">I", 45_455))]),
        [0, 55],
    ),
    "gamma beside sRGB": (
        png(PAGE // 255 * 55, [(b"gAMA", struct.pack(">I", 100_000)), (b"sRGB", b"\0")]),
        [0, 55],
    ),
}


@pytest.mark.parametrize("name", TONES)
def test_tones_are_those_that_a_viewer_shows(name):
    """White on black, a page that is all black, or transparent text on a page of its colour."""
    data, expected = TONES[name]
    assert _row(data) == pytest.approx(expected, abs=1)


WIDE = (105, 151, 108)  # by the matrices of both spaces, in numpy


COLOURS = {
    "wide, PNG": (encoded(COLOUR, icc_profile=rgb_profile(2.2)), WIDE),
    "wide, JPEG": (encoded(COLOUR, "JPEG", quality=100, icc_profile=rgb_profile(2.2)), WIDE),
    "wide, TIFF": (encoded(COLOUR, "TIFF", icc_profile=rgb_profile(2.2)), WIDE),
    "wide, WEBP": (encoded(COLOUR, "WEBP", lossless=True, icc_profile=rgb_profile(2.2)), WIDE),
    "wide, palette": (
        encoded(COLOUR.convert("P", palette=Image.Palette.ADAPTIVE), icc_profile=rgb_profile(2.2)),
        WIDE,
    ),
    "wide, transparent": (
        encoded(
            Image.merge("RGBA", (*COLOUR.split(), Image.new("L", COLOUR.size, 128))),
            icc_profile=rgb_profile(2.2),
        ),
        (180, 203, 181),
    ),
    "linear grey": (
        encoded(Image.new("L", (12, 8), 55), icc_profile=grey_profile(1.0)),
        (128,) * 3,
    ),
    "linear grey of 16 bits": (
        encoded(
            Image.fromarray(np.where(PAGE > 0, 65_535, 55 * 257).astype(np.uint16)),
            icc_profile=grey_profile(1.0),
        ),
        (128,) * 3,
    ),
    "a black and white press": (
        encoded(GREY.convert("1"), icc_profile=grey_profile(1.0)),
        (0,) * 3,
    ),
    "a press": (
        encoded(Image.new("CMYK", (12, 8), (255, 0, 0, 0)), "TIFF", icc_profile=cmyk_profile()),
        (196,) * 3,
    ),
    "a press, JPEG": (
        encoded(
            Image.new("CMYK", (12, 8), (255, 0, 0, 0)),
            "JPEG",
            quality=100,
            icc_profile=cmyk_profile(),
        ),
        (196,) * 3,
    ),
    "Lab": (tiff((np.tile(np.array([128, 0, 0], np.uint8), (8, 12, 1)), {262: 8})), (119,) * 3),
    "of other colours": (encoded(COLOUR, icc_profile=cmyk_profile()), (120, 150, 110)),
    "damaged": (encoded(COLOUR, icc_profile=b"no profile"), (120, 150, 110)),
}


@pytest.mark.parametrize("name", COLOURS)
def test_colours_are_those_of_the_profile(name):
    """A scan in the colours of its scanner, a print in the naive colours of its inks."""
    data, expected = COLOURS[name]
    assert decode(data).getpixel((5, 5)) == pytest.approx(expected, abs=2)


PLAIN = {
    "grey": (encoded(GREY), True),
    "colour": (encoded(COLOUR, "JPEG"), True),
    "another wording of sRGB": (
        encoded(
            COLOUR, icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        ),
        True,
    ),
    "equal dots": (encoded(COLOUR, "JPEG", dpi=(300, 300)), True),
    "a profile": (encoded(COLOUR, icc_profile=rgb_profile(2.2)), False),
    "a fax": (encoded(COLOUR, "JPEG", dpi=(204, 98)), False),
    "on its side": (encoded(COLOUR, "JPEG", exif=exif(6)), False),
    "on its side, told late": (png(PAGE, [], [(b"eXIf", exif(6).tobytes()[6:])]), False),
    "its own gamma": (png(PAGE, [(b"gAMA", struct.pack(">I", 100_000))]), False),
    "transparent": (encoded(GREY, transparency=0), False),
    "inks": (encoded(COLOUR.convert("CMYK"), "JPEG"), False),
    "16 bits": (png(DEEP), False),
}


@pytest.mark.parametrize("name", PLAIN)
def test_only_what_everybody_sees_alike_is_plain(name):
    """A dataset whose pictures other libraries show otherwise than we encoded them."""
    data, expected = PLAIN[name]
    assert image_file(data).is_plain() is expected


def test_what_is_decoded_carries_no_tag_along():
    """A profile that is written beside colours that are sRGB's by now, and applied twice."""
    assert decode(encoded(COLOUR, icc_profile=rgb_profile(2.2))).info == {}
    assert decode(encoded(COLOUR, icc_profile=b"damaged")).info == {}
    assert decode(encoded(COLOUR, dpi=(300, 300), exif=exif(6))).info == {}
