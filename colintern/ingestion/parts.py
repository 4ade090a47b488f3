"""Corpus files planned from the list of sources: one worker writes a part, whole or not at all.

A part's name holds a hash of everything that its pages depend on, so a killed ingest resumes. What
it was made of also stands inside (`part_file.py`), so that a later ingest knows which of its pages
are there already (`standing.py`).

Parts are cut by the number of pages and the bytes of their sources, which limits what a kill costs.
"""

import json
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import NamedTuple

from colintern import storage
from colintern.ingestion.drawn import RenderSettings
from colintern.ingestion.sources import SourceFile, kind_of
from colintern.ingestion.text_layer import TEXT_RULES
from colintern.streams import packed

_PAGES_PER_PART = 64  # a row group of them is read at once
_SOURCE_BYTES_PER_PART = 256 * 2**20
# The version of the rules by which pages are drawn and decoded: raise it when they change, so that
# an ingest that resumes keeps no page of older rules. There was none before 2.
_DRAWING_RULES = 2


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
        """Pages that it would hold if none were bad."""
        return sum(piece.last - piece.first for piece in self.pieces)


@dataclass(frozen=True)
class DrawnPiece:
    """Pages `first` (from 0) up to `last`, left out, of a file, as they were drawn.

    Attributes:
        name: of the file.
        version: of the file, as far as its state shows.
        first: the first page.
        last: the page after the last one.
        sha256: of a local file, which may get another state and keep its bytes.
    """

    name: str
    version: str
    first: int
    last: int
    sha256: str | None = None


@dataclass(frozen=True)
class Origin:
    """What a written part was made of, as it stands in the part.

    Attributes:
        rules: the version of the rules of drawing.
        settings: of drawing.
        pieces: of the files.
        text_rules: the version of the rules of reading text layers; 0 where none was read.
    """

    rules: int
    settings: RenderSettings
    pieces: tuple[DrawnPiece, ...]
    text_rules: int = 0

    @property
    def is_by_present_rules(self) -> bool:
        """Whether its pages would be drawn, and their texts read, the same way now."""
        is_text_the_same = self.text_rules == TEXT_RULES or not _has_pdfs(self.pieces)
        return self.rules == _DRAWING_RULES and is_text_the_same


def plan_parts(
    counted: Iterable[tuple[SourceFile, int]],
    corpus: str,
    settings: RenderSettings,
    *,
    there: Mapping[str, Sequence[range]] | None = None,
    first_number: int = 0,
) -> list[Part]:
    """Cut files into parts, which are to be written.

    Args:
        counted: files, sorted by name, with their numbers of pages.
        corpus: the folder of the parts.
        settings: how pages are drawn.
        there: by the name of a file, its pages (from 0) that other parts have.
        first_number: that the parts are numbered from.
    """
    there = there or {}
    pages = (
        _SourcePage(file, position, file.num_bytes / num_pages)
        for file, num_pages in counted
        for position in range(num_pages)
        if not any(position in found for found in there.get(file.name, ()))
    )
    cut = packed(
        pages, lambda page: page.num_bytes, _SOURCE_BYTES_PER_PART, max_items=_PAGES_PER_PART
    )
    numbered = enumerate(cut, first_number)
    return [_part(number, _pieces(found), corpus, settings) for number, found in numbered]


class _SourcePage(NamedTuple):
    """A page of a file to be drawn, and its share of the file's bytes."""

    file: SourceFile
    position: int
    num_bytes: float


def _pieces(pages: Sequence[_SourcePage]) -> list[Piece]:
    """The pages of one part, neighbours of one file together."""
    # Pages that follow each other in a file have one difference between position and index.
    runs = groupby(enumerate(pages), lambda pair: (pair[1].file, pair[1].position - pair[0]))
    found = ([page for _, page in run] for _, run in runs)
    return [Piece(run[0].file, run[0].position, run[-1].position + 1) for run in found]


def single_pages(part: Part) -> list[Part]:
    """A part for each page of `part`, written beside it for a short time."""
    return [
        Part(
            f"{part.path.removesuffix('.parquet')}-{piece_number}-{index}.parquet",
            (Piece(piece.file, index, index + 1),),
            part.settings,
        )
        for piece_number, piece in enumerate(part.pieces)
        for index in range(piece.first, piece.last)
    ]


def origin_as_planned(part: Part) -> Origin:
    """What `origin_of` says of a part when it is written, but for the hashes of files."""
    pieces = (DrawnPiece(of.file.name, of.file.version, of.first, of.last) for of in part.pieces)
    return Origin(_DRAWING_RULES, part.settings, tuple(pieces), TEXT_RULES)


def number_in(path: str) -> int:
    """The number of a part, by its name."""
    return int(posixpath.basename(path).split("-")[1])


def _part(number: int, pieces: Sequence[Piece], corpus: str, settings: RenderSettings) -> Part:
    text_rules = [TEXT_RULES] if _has_pdfs([piece.file for piece in pieces]) else []
    name = _part_name(number, pieces, settings, *text_rules)
    return Part(storage.join(corpus, name), tuple(pieces), settings)


def name_without_text(part: Part) -> str:
    """What a part was called before text layers were read."""
    return _part_name(number_in(part.path), part.pieces, part.settings)


def _part_name(
    number: int, pieces: Sequence[Piece], settings: RenderSettings, *text_rules: int
) -> str:
    made_of = [_DRAWING_RULES, [asdict(piece) for piece in pieces], asdict(settings), *text_rules]
    digest = storage.sha256_of_bytes(json.dumps(made_of).encode())[:12]
    return f"part-{number:05d}-{digest}.parquet"


def _has_pdfs(files: Sequence[DrawnPiece | SourceFile]) -> bool:
    return any(kind_of(file.name) == "pdf" for file in files)
