"""Colours by the profile that is embedded in a picture, or by its gamma, to those of sRGB."""

import io
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import TiffImageFile

_PROFILE = 34675  # the tag of a TIFF
_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}
_STEPS = 17  # along each side of the cube of colours that a profile is tried on
_SAME = 2  # of 255: a profile that changes no colour by more is another wording of sRGB
_SRGB_GAMMA = 0.45455  # of a PNG
_SAME_GAMMA = 0.05  # the relative error that libpng allows

Convert = Callable[[Image.Image], Image.Image]


def to_srgb(image: Image.Image, colours: str) -> Convert | None:
    """What changes an image's colours into those of sRGB; None when nothing has to.

    A profile that is damaged, or of other colours than the picture, counts as none. Colours are
    mapped perceptually, which is what viewers do by default.

    Args:
        image: its header is enough.
        colours: the mode of the colours without transparency, `L`, `RGB`, `CMYK` or `LAB`.

    Returns:
        From a picture in the mode `colours` to one in RGB.
    """
    if isinstance(image, TiffImageFile):  # what Pillow keeps may be of an earlier frame
        profile = image.tag_v2.get(_PROFILE)
    else:
        profile = image.info.get("icc_profile")
    found = _by_profile(profile, colours) if isinstance(profile, bytes) else None
    if found is None and colours == "LAB":
        return _transform(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), colours)
    if profile or "srgb" in image.info:
        return found
    return _by_gamma(image.info.get("gamma", _SRGB_GAMMA))


@lru_cache(maxsize=8)  # pages of one document have one profile
def _by_profile(data: bytes, colours: str) -> Convert | None:
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        core: Any = profile.profile
        if core.xcolor_space.strip() != _SPACES[colours]:
            return None
        convert = _transform(profile, colours)
    except (OSError, ImageCms.PyCMSError):
        return None
    return None if _is_srgb(convert, colours) else convert


def _transform(profile: ImageCms.ImageCmsProfile, colours: str) -> Convert:
    return ImageCms.buildTransform(profile, _srgb(), colours, "RGB").apply


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _is_srgb(convert: Convert, colours: str) -> bool:
    """Whether a conversion leaves all colours as they are, but for rounding."""
    if colours not in ("L", "RGB"):
        return False
    steps = np.linspace(0, 255, _STEPS).astype(np.uint8)
    if colours == "L":
        tried = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    else:
        cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1)
        tried = Image.fromarray(cube.reshape(_STEPS, -1, 3))
    change = np.asarray(convert(tried), np.int16) - np.asarray(tried.convert("RGB"), np.int16)
    return int(np.abs(change).max()) <= _SAME


def _by_gamma(gamma: float) -> Convert | None:
    """By a PNG's gamma: a sample is the light to this power."""
    if gamma <= 0 or abs(gamma / _SRGB_GAMMA - 1) <= _SAME_GAMMA:
        return None
    light = np.linspace(0, 1, 256) ** (1 / gamma)
    seen = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    table = np.rint(255 * seen).astype(np.uint8).tolist()
    return lambda picture: picture.convert("RGB").point(table * 3)
