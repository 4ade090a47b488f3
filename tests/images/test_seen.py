"""Pages as a careful viewer shows them: what their tags say of frames, shape and colours."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from colintern.images import decode as images
from colintern.images.decode import BadImageError, ImageFile, decode, read_size
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

PAGE = np.tile(np.repeat(np.array([0, 255], np.uint8), 20), (30, 1))  # black, then white
DEEP = PAGE.astype(np.uint16) * 257
GREY = Image.fromarray(PAGE)
COLOUR = Image.new("RGB", (12, 8), (120, 150, 110))


def _file(data: bytes) -> ImageFile:
    return ImageFile(io.BytesIO(data))


def _row(data: bytes) -> list[int]:
    """The grey values along the middle of a page, one of each half."""
    grey = np.asarray(decode(data).convert("L"))
    middle = grey[grey.shape[0] // 2]
    return [int(middle[len(middle) // 4]), int(middle[3 * len(middle) // 4])]


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
for number in range(1, 9):
    turned = (40, 30) if number < 5 else (30, 40)
    SHAPES[f"TIFF {number}"] = (tiff((PAGE, {262: 1, 274: number})), turned)
    SHAPES[f"packed TIFF {number}"] = (
        encoded(GREY, "TIFF", compression="tiff_lzw", tiffinfo={274: number}),
        turned,
    )
    for kind in ("JPEG", "PNG", "WEBP"):
        SHAPES[f"{kind} {number}"] = (encoded(GREY, kind, exif=exif(number)), turned)


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


FRAMES = {
    "three pages": ([{}, {254: 2}, {254: 0}], [0, 1, 2]),
    "overviews behind": ([{254: 0}, {254: 1}, {254: 1}], [0]),
    "a thumbnail first": ([{254: 1}, {254: 2}, {254: 2}], [1, 2]),
    "overviews of each page": ([{254: 2}, {254: 3}, {254: 2}, {254: 3}], [0, 2]),
    "a mask": ([{254: 0}, {254: 4, 262: 4}], [0]),
    "a mask by its pixels alone": ([{}, {262: 4}, {}], [0, 2]),
    "the mask of an overview": ([{254: 0}, {254: 5, 262: 4}], [0]),
    "as it was before": ([{255: 1}, {255: 2}, {255: 3}], [0, 2]),
    "marked wrongly": ([{254: 1}, {254: 1}], [0, 1]),
}


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("name", FRAMES)
def test_only_pages_of_a_tiff_are_pages(name, order):
    """An overview that becomes a negative of its own page; a mask that loses the file."""
    tags, pages = FRAMES[name]
    frames = [
        (np.where(PAGE > 0, 10 * number + 200, PAGE).astype(np.uint8), {262: 1, **given})
        for number, given in enumerate(tags)
    ]
    file = _file(tiff(*frames, order=order))
    assert file.num_pages() == len(pages)
    for page, frame in enumerate(pages):
        assert file.decode(page).getpixel((39, 0)) == (10 * frame + 200,) * 3
    with pytest.raises(BadImageError, match="no page"):
        file.decode(len(pages))


def test_a_chain_of_frames_that_is_damaged_costs_what_stands_behind():
    """Frames that nobody counted, silently; or a page lost for a frame that nobody needs."""
    data = tiff((PAGE, {262: 1}), (PAGE, {262: 1}))
    with pytest.raises(BadImageError, match="damaged"):
        _file(data[:-20]).num_pages()
    assert decode(data[:-20]).size == (40, 30)


def test_frames_that_lead_back_end():
    """A scan of endless pages."""
    data = bytearray(tiff((PAGE, {262: 1})))
    data[-4:] = data[4:8]
    assert _file(bytes(data)).num_pages() == 1


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
    assert _file(data).is_plain() is expected


def test_what_is_decoded_carries_no_tag_along():
    """A profile that is written beside colours that are sRGB's by now, and applied twice."""
    assert decode(encoded(COLOUR, icc_profile=rgb_profile(2.2))).info == {}
    assert decode(encoded(COLOUR, icc_profile=b"damaged")).info == {}
    assert decode(encoded(COLOUR, dpi=(300, 300), exif=exif(6))).info == {}
