"""One picture that all formats can hold."""

import io

import numpy as np
from PIL import Image

from colintern.images.decode import ImageFile

PAGE = np.tile(np.repeat(np.array([0, 255], np.uint8), 20), (30, 1))  # black, then white


GREY = Image.fromarray(PAGE)


def image_file(data: bytes) -> ImageFile:
    return ImageFile(io.BytesIO(data))
