"""Corpus files planned from the list of sources: a part is written whole, by one worker, once.

A part's name holds a hash of all that its pages depend on. So a killed ingest goes on where it
was, and one whose sources have changed writes anew just the parts that these are in.
"""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from colintern import storage
from colintern.data.canonical import PIXELS
from colintern.data.entities import Page
from colintern.data.ingest.findings import Refusal
from colintern.data.ingest.rendering import RenderSettings, render
from colintern.data.ingest.sources import SourceFile
from colintern.data.pixels import picture_of
from colintern.data.writing import corpus_table, parquet_bytes, unchecked, with_pixels

_PAGES_PER_PART = 64
_REFUSED_KEY = b"colintern.refused"


@dataclass(frozen=True)
class Piece:
    """Pages `first` (from 0) up to `last`, left out, of a file."""

    file: SourceFile
    first: int
    last: int


@dataclass(frozen=True)
class Part:
    """One file of the corpus to be."""

    path: str
    pieces: tuple[Piece, ...]
    settings: RenderSettings

    @property
    def num_pages(self) -> int:
        """Pages that it would hold if none were refused."""
        return sum(piece.last - piece.first for piece in self.pieces)


@dataclass(frozen=True)
class PageEntry:
    """What a written part knows of a page besides its image.

    `picture` tells it from all others. What is drawn from PDFs is known by its bytes: equal
    drawings are written alike, and to decode them again costs 28 ms a page beside 44 for drawing.
    """

    page_id: str
    doc_id: str
    number: int
    picture: str


def plan_parts(
    counted: Iterable[tuple[SourceFile, int]], corpus: str, settings: RenderSettings
) -> list[Part]:
    """Cut files, sorted by name and with their numbers of pages, into parts in `corpus`."""
    parts: list[Part] = []
    waiting: list[Piece] = []
    room = _PAGES_PER_PART
    for file, num_pages in counted:
        first = 0
        while first < num_pages:
            last = min(num_pages, first + room)
            waiting.append(Piece(file, first, last))
            room -= last - first
            first = last
            if room == 0:
                parts.append(_part(len(parts), waiting, corpus, settings))
                waiting, room = [], _PAGES_PER_PART
    if waiting:
        parts.append(_part(len(parts), waiting, corpus, settings))
    return parts


def single_pages(part: Part) -> list[Part]:
    """A part cut into one of its own for every page; they are not written, only rendered."""
    return [
        Part("", (Piece(piece.file, place, place + 1),), part.settings)
        for piece in part.pieces
        for place in range(piece.first, piece.last)
    ]


def write_part(part: Part, check: Callable[[], None] = unchecked) -> None:
    """Render all pages of a part and write it; atomic. `check` as in `save_part`."""
    save_part(part, rendered(part), check)


def rendered(part: Part) -> Iterator[Page | Refusal]:
    """The pages of a part, or the reasons why there are none."""
    for piece in part.pieces:
        yield from render(piece.file, piece.first, piece.last, part.settings)


def save_part(
    part: Part, found: Iterable[Page | Refusal], check: Callable[[], None] = unchecked
) -> None:
    """Write what was found for a part; `check` is called before, and raises when it must not be."""
    pages: list[Page] = []
    refusals: list[Refusal] = []
    for item in found:
        if isinstance(item, Page):
            pages.append(item)
        else:
            refusals.append(item)
    hashes = [storage.sha256_of_bytes(page.image) for page in pages]
    table = with_pixels(corpus_table(pages), pages)
    table = table.append_column("sha256", pa.array(hashes, pa.string()))
    refused = json.dumps([asdict(refusal) for refusal in refusals])
    check()
    storage.write_bytes(
        part.path, parquet_bytes(table.replace_schema_metadata({_REFUSED_KEY: refused.encode()}))
    )


def read_part(path: str) -> tuple[list[PageEntry], list[Refusal]]:
    """What a written part holds, without its images."""
    file = (
        storage.local_path(path) if storage.is_local(path) else io.BytesIO(storage.read_bytes(path))
    )
    with pq.ParquetFile(file) as parquet:
        # A part of an earlier version has no column of pixels.
        table = parquet.read(columns=["corpus-id", "doc-id", "page", "sha256", PIXELS])
        metadata = parquet.schema_arrow.metadata or {}
    entries = [
        PageEntry(
            row["corpus-id"], row["doc-id"], row["page"], picture_of(row["sha256"], row.get(PIXELS))
        )
        for row in table.to_pylist()
    ]
    refused = json.loads(metadata.get(_REFUSED_KEY, b"[]"))
    return entries, [Refusal(**refusal) for refusal in refused]


def _part(number: int, pieces: Sequence[Piece], corpus: str, settings: RenderSettings) -> Part:
    text = json.dumps([[asdict(piece) for piece in pieces], asdict(settings)])
    digest = storage.sha256_of_bytes(text.encode())[:12]
    path = storage.join(corpus, f"part-{number:05d}-{digest}.parquet")
    return Part(path, tuple(pieces), settings)
