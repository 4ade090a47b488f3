"""Pictures of every kind become RGB, or give a reason."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from colintern.images import decode as images
from colintern.images.decode import BadImageError, decode, read_size, suffix_of


def _bytes(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_sixteen_bits_and_floats_are_scaled():
    """Pillow's own conversion gives a white or a black page."""
    ramp = np.linspace(0, 65_535, 256, dtype=np.uint16).reshape(16, 16)
    found = np.asarray(decode(_bytes(Image.fromarray(ramp))))
    assert found[0, 0, 0] == 0
    assert found[-1, -1, 0] == 255
    assert 120 < found[8, 0, 0] < 135
    floats = np.linspace(-1, 3, 256, dtype=np.float32).reshape(16, 16)
    found = np.asarray(decode(_bytes(Image.fromarray(floats), "TIFF")))
    assert (found.min(), found.max()) == (0, 255)


def test_transparency_is_laid_on_white():
    """Black text on a transparent page that becomes black on black."""
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert decode(_bytes(clear)).getpixel((0, 0)) == (255, 255, 255)
    palette = Image.new("P", (4, 4), 0)
    assert decode(_bytes(palette, transparency=0)).getpixel((0, 0)) == (255, 255, 255)


def test_rotation_is_applied_to_size_and_pixels():
    """A page that lies on its side, or a plan made for another shape than is encoded."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("JPEG", "PNG"):
        data = _bytes(Image.new("RGB", (30, 10), "red"), kind, exif=exif)
        size = read_size(data)
        assert (size.width, size.height) == decode(data).size == (10, 30)


@pytest.mark.parametrize("mode", ["L", "1", "CMYK", "P", "LA"])
def test_other_modes_become_rgb(mode):
    """A mode that the processor cannot take."""
    kind = "TIFF" if mode == "CMYK" else "PNG"
    assert decode(_bytes(Image.new(mode, (5, 5)), kind)).mode == "RGB"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"plain text named .png", "not an image"),
        (_bytes(Image.effect_noise((64, 64), 50))[:400], "damaged"),
        (_bytes(Image.effect_noise((64, 64), 50).convert("RGB"), "JPEG")[:700], "damaged"),
    ],
)
def test_bad_pages_have_a_reason(data, words):
    """An exception of Pillow's that ends the run."""
    with pytest.raises(BadImageError, match=words):
        decode(data)


def test_decoding_changes_no_rule_of_other_threads():
    """Warnings of the whole process that stay silent, or come back, as pages end in threads."""
    data = _bytes(Image.new("L", (40, 30)))
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(warnings, "catch_warnings")  # puts back the rules of all threads
        assert decode(data).size == (40, 30)


def test_absurd_sizes_are_refused_before_decoding(monkeypatch):
    """A picture that claims more pixels than there is memory."""
    monkeypatch.setattr(images, "MAX_PIXELS", 100)
    data = _bytes(Image.new("L", (20, 20)))
    for function in (read_size, decode):
        with pytest.raises(BadImageError, match="too large"):
            function(data)


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("PNG", "png"), ("JPEG", "jpg"), ("TIFF", "tif"), ("WEBP", "webp"), ("BMP", "bmp")],
)
def test_an_image_is_named_by_what_it_is(kind, suffix):
    """A found page saved under a name that viewers do not open it by."""
    assert suffix_of(_bytes(Image.new("RGB", (20, 20)), kind)) == suffix
