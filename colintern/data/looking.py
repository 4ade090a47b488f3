"""Looking at the pictures of a stream of rows: which of them show the same page."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from colintern import storage
from colintern.data.parquet import image_bytes, stream_rows
from colintern.images.pixels import picture_of, pixels_of
from colintern.streams import pipelined

_THREADS = min(4, os.cpu_count() or 1)  # each needs the memory that `decode` needs
_AHEAD = 2 * _THREADS  # rows whose decoding has begun

Row = dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """The image of a row: the hash of its bytes, and of its pixels where it could be decoded."""

    sha256: str
    pixels_sha256: str | None

    @property
    def picture(self) -> str:
        """What identifies its page."""
        return picture_of(self.sha256, self.pixels_sha256)


LookAt = Callable[[Iterable[Row]], Iterator[tuple[Row, Seen]]]


def not_looked_at(rows: Iterable[Row]) -> Iterator[tuple[Row, Seen]]:
    """The rows; their images are compared by their bytes only."""
    return ((row, Seen(_sha256(row), None)) for row in rows)


def with_pixels(rows: Iterable[Row]) -> Iterator[tuple[Row, Seen]]:
    """The rows, in their order; each image is decoded once, a few rows ahead, in threads."""
    found: dict[str, str | None] = {}
    begun: dict[str, Future[str | None]] = {}

    def seen(row: Row, sha256: str) -> tuple[Row, Seen]:
        if sha256 in begun:
            found[sha256] = begun.pop(sha256).result()
        return row, Seen(sha256, found[sha256])

    def started(threads: ThreadPoolExecutor) -> Iterator[Callable[[], tuple[Row, Seen]]]:
        for row in rows:
            sha256 = _sha256(row)
            if sha256 not in found and sha256 not in begun:
                begun[sha256] = threads.submit(pixels_of, image_bytes(row["image"]))
            yield partial(seen, row, sha256)

    with ThreadPoolExecutor(_THREADS, "decode") as threads:  # Pillow decodes without the GIL
        yield from pipelined(started(threads), _AHEAD)


def _sha256(row: Row) -> str:
    return storage.sha256_of_bytes(image_bytes(row["image"]))


def first_pictures(files: Sequence[str], page_ids: Collection[str]) -> Iterator[tuple[str, str]]:
    """The first image of each of those pages, in corpus files: page id, and what it shows."""
    found: set[str] = set()
    if not page_ids:
        return
    for row in stream_rows(files, ["corpus-id", "image"]):
        page_id = str(row["corpus-id"])
        if page_id in page_ids and page_id not in found:
            found.add(page_id)
            image = image_bytes(row["image"])
            yield page_id, picture_of(storage.sha256_of_bytes(image), pixels_of(image))
