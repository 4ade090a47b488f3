"""The pictures in the report: each page once, large enough to be read, up to a number of bytes."""

import base64
import io
from collections.abc import Sequence

from PIL import Image, ImageChops

from colintern.data.canonical import CanonicalDataset
from colintern.errors import ColInternError, one_line
from colintern.images.decode import BadImageError, decode

LONGER_SIDE = 1_000  # pixels: small print of an A4 page can just be read
MOST_BYTES = 12_000_000  # of all pictures as they stand in the file: it can still be mailed
_GREY_DIFFERENCE = 12  # of 255, between channels: what a JPEG of a grey page has
_LOSSY_QUALITY = 55
_LOSSLESS_PIXELS = 300_000  # larger ones are photographs and scans, where lossy is smaller
_EFFORT = 4  # of WebP's 0 to 6: more takes seconds a page for a few percent

UNREADABLE = "picture cannot be read"
LEFT_OUT = "picture left out"


class Pictures:
    """Collects pictures, the most important first, until there are too many bytes.

    Args:
        most_bytes: of all of them.

    Attributes:
        uris: key to data URI, for the page.
        num_left_out: pages whose pictures would have been too much.
        unread: why a picture is missing that is not left out; None where none is.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.uris: dict[str, str] = {}
        self.num_left_out = 0
        self.unread: str | None = None
        self._bytes_left = most_bytes
        self._keys: dict[tuple[str, str], str] = {}
        self._missing: dict[tuple[str, str], str] = {}

    def take(self, dataset_path: str, page_ids: Sequence[str]) -> None:
        """Read the pages that were not taken before; one that cannot be read has no picture.

        Args:
            dataset_path: the folder that they are in.
            page_ids: in the order of their importance.
        """
        known = self._keys.keys() | self._missing.keys()
        wanted = [p for p in dict.fromkeys(page_ids) if (dataset_path, p) not in known]
        if not wanted:
            return
        images: dict[str, bytes] = {}
        try:
            images = CanonicalDataset(dataset_path).images(set(wanted))
        except ColInternError as error:  # a report without pictures is better than none
            self.unread = self.unread or one_line(error)
        for page_id in wanted:
            self._add((dataset_path, page_id), images.pop(page_id, None))

    def key(self, dataset_path: str, page_id: str) -> str:
        """Of a picture in `uris`; empty when it has none."""
        return self._keys.get((dataset_path, page_id), "")

    def why_missing(self, dataset_path: str, page_id: str) -> str:
        """Why a page has no picture; empty when it has one."""
        return "" if self.key(dataset_path, page_id) else self._missing[dataset_path, page_id]

    def _add(self, page: tuple[str, str], image: bytes | None) -> None:
        if self.num_left_out:  # nothing less important comes in place of what was left out
            self._leave_out(page)
            return
        try:
            uri = "" if image is None else data_uri(image)
        except BadImageError as error:
            self._miss(page, f"page {page[1]}: {error}")
            return
        if not uri:
            self._miss(page, f"has no page {page[1]} any more")
        elif len(uri) > self._bytes_left:
            self._leave_out(page)
        else:
            self._bytes_left -= len(uri)
            self._keys[page] = f"p{len(self._keys)}"
            self.uris[self._keys[page]] = uri

    def _miss(self, page: tuple[str, str], why: str) -> None:
        self._missing[page] = UNREADABLE
        self.unread = self.unread or f"{page[0]}: {why}"

    def _leave_out(self, page: tuple[str, str]) -> None:
        self._missing[page] = LEFT_OUT
        self.num_left_out += 1


def data_uri(image: bytes) -> str:
    """A page as WebP, no larger than `LONGER_SIDE`, grey where it is grey, as a data URI.

    Raises:
        BadImageError: it cannot be decoded.
    """
    picture = decode(image)
    picture.thumbnail((LONGER_SIDE, LONGER_SIDE), Image.Resampling.LANCZOS)
    if _is_grey(picture):
        picture = picture.convert("L")
    found = [_webp(picture, lossless=False)]
    if picture.width * picture.height <= _LOSSLESS_PIXELS:
        found.append(_webp(picture, lossless=True))
    return "data:image/webp;base64," + base64.b64encode(min(found, key=len)).decode()


def _is_grey(picture: Image.Image) -> bool:
    red, green, blue = picture.split()
    differences = [ImageChops.difference(red, other).getextrema() for other in (green, blue)]
    return all(isinstance(high, int) and high <= _GREY_DIFFERENCE for _, high in differences)


def _webp(picture: Image.Image, *, lossless: bool) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", lossless=lossless, quality=_LOSSY_QUALITY, method=_EFFORT)
    return buffer.getvalue()
