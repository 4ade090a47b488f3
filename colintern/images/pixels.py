"""What a page shows, as a hash: two pages are the same page when their decoded pixels are equal.

A page that is saved again has other bytes but the same pixels. The hash is computed when a page is
decoded anyway: no corpus is decoded only for it. Until then a page is known by its bytes.
"""

import hashlib

from PIL import Image

from colintern.images.decode import BadImageError, decode

_STRIP_BYTES = 4 * 2**20  # copied out of the picture at one time


def pixels_sha256(picture: Image.Image) -> str:
    """The SHA-256 of `{width}x{height}`, a line feed, and the picture's RGB bytes, row by row.

    Args:
        picture: as `images.decode.decode` gives it.
    """
    width, height = picture.size
    digest = hashlib.sha256(f"{width}x{height}\n".encode())
    rows = max(1, _STRIP_BYTES // (3 * width))
    for top in range(0, height, rows):
        digest.update(picture.crop((0, top, width, min(height, top + rows))).tobytes())
    return digest.hexdigest()


def pixels_of(image: bytes) -> str | None:
    """`pixels_sha256` of an encoded image; None when it cannot be decoded."""
    try:
        return pixels_sha256(decode(image))
    except BadImageError:
        return None


def picture_of(sha256: str, pixels: str | None) -> str:
    """What identifies a page: two pages are the same page when theirs are equal.

    Copies in other bytes are missed if one has been decoded and the other has not.

    Args:
        sha256: of its bytes.
        pixels: its `pixels_sha256`, if it has been decoded.
    """
    return pixels or sha256
