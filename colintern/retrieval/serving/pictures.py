"""Pages as a browser can show them: as they are stored, smaller, or with a heat map on them."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from colintern.images.decode import decode, suffix_of
from colintern.model.boxes import is_on_page
from colintern.retrieval.answers import Similarities

MAX_HEAT_MAP_SIDE = 1_400  # pixels: a page that can be read, in a PNG of at most some megabytes
_SHOWN_BY_BROWSERS = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}
_QUALITY = 85  # of a JPEG that is looked at
_FAST = 4  # zlib's level: a third of the time of 6, and 5 % more bytes
_WEAK, _STRONG = np.array([255, 200, 0]), np.array([215, 0, 60])  # sRGB
_MOST_COVERED = 0.6  # of the page below, which must stay readable


def shown_page(data: bytes, width: int | None = None) -> tuple[bytes, str]:
    """A page's file and its media type.

    Args:
        data: the file, as it is stored. What a browser cannot show becomes a PNG.
        width: at most so many pixels wide, as a JPEG; None leaves the size.
    """
    if width is None:
        known = _SHOWN_BY_BROWSERS.get(suffix_of(data))
        return (data, known) if known else (_png(decode(data)), "image/png")
    page = decode(data)
    page.thumbnail((width, page.height))
    buffer = io.BytesIO()
    page.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue(), "image/jpeg"


def heat_map(data: bytes, similarities: Similarities, query_tokens: list[int] | None) -> bytes:
    """A page with each of its parts coloured by how well the query fits it: a PNG.

    The part that fits best has the strongest colour, the one that fits least has none; so colours
    of two pages cannot be compared. Tokens of the thumbnail and of padding are left out.

    Args:
        data: the file of the page.
        similarities: of the query and this page.
        query_tokens: a part counts by the best fitting of these; None takes all.
    """
    page = decode(data)
    factor = min(1, MAX_HEAT_MAP_SIDE / max(page.size))
    size = (max(1, round(page.width * factor)), max(1, round(page.height * factor)))
    scale = np.array([size[0] / page.width, size[1] / page.height] * 2)
    heat_HW1 = _heat(similarities, query_tokens, size, scale)[:, :, None]
    colour_HW3 = _WEAK + (_STRONG - _WEAK) * heat_HW1
    page_HW3 = np.asarray(page.resize(size, Image.Resampling.LANCZOS), dtype=np.float32)
    cover_HW1 = _MOST_COVERED * heat_HW1**2  # most parts fit a little: they stay pale
    mixed_HW3 = page_HW3 * (1 - cover_HW1) + colour_HW3 * cover_HW1
    return _png(Image.fromarray(mixed_HW3.round().astype(np.uint8)))


def _heat(
    similarities: Similarities,
    query_tokens: list[int] | None,
    size: tuple[int, int],
    scale: NDArray[np.float64],
) -> NDArray[np.float32]:
    """How well each pixel of a picture of `size` fits: from 0 to 1, float32 [height, width]."""
    score_QP = similarities.scores if query_tokens is None else similarities.scores[query_tokens]
    score_P = score_QP.max(axis=0)
    shown = np.flatnonzero(~similarities.is_thumbnail & is_on_page(similarities.boxes))
    heat_HW = np.zeros(size[::-1], np.float32)
    if not len(shown):
        return heat_HW
    least, most = score_P[shown].min(), score_P[shown].max()
    for token in shown[np.argsort(score_P[shown], kind="stable")]:  # the best is painted last
        for box in similarities.parts[token]:
            left, top, right, bottom = (box * scale).round().astype(int)
            heat_HW[top:bottom, left:right] = (score_P[token] - least) / max(most - least, 1e-6)
    return heat_HW


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=_FAST)
    return buffer.getvalue()
