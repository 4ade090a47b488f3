"""What a dataset folder of an earlier ingest holds: what of it stays, and what would go."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from colintern import storage
from colintern.data.canonical import DATASET_DONE, INGEST_BEGUN
from colintern.data.parquet import open_parquet
from colintern.ingestion.drawn import RenderSettings
from colintern.ingestion.findings import BadItem
from colintern.ingestion.part_file import WrittenPage, origin_of, read_part
from colintern.ingestion.parts import (
    DrawnPiece,
    Origin,
    name_without_text,
    number_in,
    origin_as_planned,
    plan_parts,
)
from colintern.ingestion.sources import SourceFile, prefixes_of

_PART = re.compile(r"part-\d{5,}-[0-9a-f]{12}\.parquet")  # other corpus files are copies
Counted = Sequence[tuple[SourceFile, int]]  # files with their numbers of pages


@dataclass(frozen=True)
class Standing:
    """A dataset folder as an ingest finds it.

    Attributes:
        folder: the dataset.
        prefixes: by the source, as `storage.real` calls it, what the names of its files begin with.
        report: `dataset.json`; None of one that is unfinished.
        is_being_replaced: an ingest was killed while it put new files in the place of old ones.
        sources: those of the last ingest that has written, as they were given.
    """

    folder: str
    prefixes: Mapping[str, str]
    report: Mapping[str, Any] | None
    is_being_replaced: bool
    sources: tuple[str, ...]

    @property
    def is_first(self) -> bool:
        """Whether nothing was finished here before, so that the corpus is written in place."""
        return self.report is None and not self.is_being_replaced

    @property
    def corpus(self) -> str:
        """The folder of its pages."""
        return storage.join(self.folder, "corpus")

    def corpus_files(self) -> list[str]:
        """The files of its pages, in order."""
        return storage.list_files(self.corpus, ".parquet")


def read_standing(folder: str) -> Standing:
    """Look at a dataset folder, which may be empty or not there."""
    begun, done = (_read(storage.join(folder, name)) for name in (INGEST_BEGUN, DATASET_DONE))
    begun = begun or {}
    sources = begun.get("sources", [])
    prefixes = begun.get("prefixes") or prefixes_of(sources)  # earlier versions did not write them
    is_being_replaced = done is None and bool(begun.get("is_replacing"))
    return Standing(folder, prefixes, done, is_being_replaced, tuple(sources))


def _read(path: str) -> dict[str, Any] | None:
    return storage.read_json(path) if storage.exists(path) else None


@dataclass(frozen=True)
class StandingPart:
    """A part that is there, and what it was made of."""

    path: str
    origin: Origin
    pages: list[WrittenPage]
    bad: list[BadItem]


@dataclass
class Sorted:
    """The parts that are there, held against the sources as they are now.

    Attributes:
        kept: they stay as they are.
        dropped: corpus files with a page that is gone or would be drawn otherwise now.
        gone: pages whose file, or place in it, is not there any more.
        changed: pages whose file has changed.
        others: how many pages there are that no ingest has drawn: of a copied dataset.
        settings: those of a page that was drawn with other ones; None if there is none.
    """

    kept: list[StandingPart] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    gone: list[WrittenPage] = field(default_factory=list)
    changed: list[WrittenPage] = field(default_factory=list)
    others: int = 0
    settings: RenderSettings | None = None

    def there(self, counted: Counted) -> dict[str, list[range]]:
        """By the name of a file, its pages that kept parts have."""
        versions = {file.name: file.version for file, _ in counted}
        found: dict[str, list[range]] = {}
        for part in self.kept:
            for piece in part.origin.pieces:
                if versions.get(piece.name) == piece.version:
                    found.setdefault(piece.name, []).append(range(piece.first, piece.last))
        return found

    def next_number(self) -> int:
        """Of the first part that is added."""
        return max((number_in(part.path) + 1 for part in self.kept), default=0)


def sort_parts(
    standing: Standing, counted: Counted, settings: RenderSettings, *, renew: bool
) -> Sorted:
    """Hold the parts of a dataset against its sources.

    Args:
        standing: the dataset.
        counted: the files of all sources, as they are now.
        settings: how pages are to be drawn.
        renew: drop pages too that were drawn by earlier rules.
    """
    found = Sorted()
    files = standing.corpus_files()
    drawn = [path for path in files if _PART.fullmatch(path.rpartition("/")[2])]
    for path in set(files) - set(drawn):
        found.dropped.append(path)
        with open_parquet(path, []) as parquet:
            found.others += parquet.metadata.num_rows
    current = {file.name: (file.version, num_pages) for file, num_pages in counted}
    for part in _read_parts(drawn, counted, standing.corpus, settings):
        gone = [page for page in part.pages if page.number > current.get(page.doc_id, ("", 0))[1]]
        versions = {piece.name: piece.version for piece in part.origin.pieces}
        changed = [
            page
            for page in part.pages
            if page.doc_id in current and versions.get(page.doc_id) != current[page.doc_id][0]
        ]
        is_otherwise = part.origin.settings != settings and bool(part.pages)
        if is_otherwise:
            found.settings = part.origin.settings
        if gone or changed or is_otherwise or (renew and not part.origin.is_by_present_rules):
            found.dropped.append(part.path)
            found.gone += gone
            found.changed += changed
        else:
            found.kept.append(part)
    return found


def _read_parts(
    paths: Sequence[str], counted: Counted, corpus: str, settings: RenderSettings
) -> list[StandingPart]:
    parts, unknown, by_content = [], [], _ByContent(counted)
    for path in paths:
        pages, bad = read_part(path)
        origin = origin_of(path)
        if origin is None:
            unknown.append((path, pages, bad))
        else:
            parts.append(StandingPart(path, by_content.recognised(origin), pages, bad))
    return sorted([*parts, *_of_earlier(unknown, counted, corpus, settings)], key=_path)


class _ByContent:
    """Recognises files that have another state, and the bytes that they had: as after a copy."""

    def __init__(self, counted: Counted) -> None:
        self._files = {file.name: file for file, _ in counted}
        self._hashes: dict[str, str] = {}

    def recognised(self, origin: Origin) -> Origin:
        """With the versions that files have now, of those that have the bytes that were drawn."""
        pieces = (
            replace(piece, version=self._files[piece.name].version)
            if self._is_same(piece)
            else piece
            for piece in origin.pieces
        )
        return replace(origin, pieces=tuple(pieces))

    def _is_same(self, piece: DrawnPiece) -> bool:
        file = self._files.get(piece.name)
        if file is None or piece.sha256 is None or file.version == piece.version:
            return False
        if not storage.is_local(file.path):
            return False
        if piece.name not in self._hashes:
            self._hashes[piece.name] = storage.sha256_of_file(file.path)
        return self._hashes[piece.name] == piece.sha256


def _path(part: StandingPart) -> str:
    return part.path


def _of_earlier(
    unknown: Sequence[tuple[str, list[WrittenPage], list[BadItem]]],
    counted: Counted,
    corpus: str,
    settings: RenderSettings,
) -> list[StandingPart]:
    """Parts that do not say what they were made of: those that the same files would give again.

    The others count as made of files that have changed.
    """
    names = {page.doc_id for _, pages, _ in unknown for page in pages}
    names |= {item.name for _, _, bad in unknown for item in bad}
    files = [(file, num_pages) for file, num_pages in counted if file.name in names]
    planned = {
        storage.join(corpus, name_without_text(part)): replace(
            origin_as_planned(part), text_rules=0
        )
        for part in plan_parts(files, corpus, settings)
    }
    nothing = Origin(0, settings, ())
    return [
        StandingPart(path, planned.get(path, nothing), pages, bad) for path, pages, bad in unknown
    ]


def still_bad(part: StandingPart, counted: Counted) -> list[BadItem]:
    """What a kept part says is bad, of files that are as they were."""
    versions = {(file.name, file.version) for file, _ in counted}
    known = {piece.name for piece in part.origin.pieces if (piece.name, piece.version) in versions}
    return [item for item in part.bad if item.name in known]


def told_loss(found: Sorted, num_questions: int) -> str | None:
    """What would go if the dropped parts went, for a person; None if nothing would.

    Args:
        found: the parts.
        num_questions: those that have all their pages among the gone ones.
    """
    told = []
    if found.others:
        told.append(f"{found.others:,} pages of the dataset that stands there would go")
    if found.gone:
        questions = f" and {_counted(num_questions, 'question')}" if num_questions else ""
        told.append(
            f"{_pages(found.gone)}{questions} would go, as these sources do not have them (if "
            "others do, name them too)"
        )
    if found.changed:
        told.append(f"{_pages(found.changed)} would be drawn again, as the files have changed")
    if found.settings is not None:
        before = f"dpi={found.settings.dpi} and max_pixels={found.settings.max_pixels}"
        told.append(f"all pages would be drawn again: they were drawn with {before}")
    return "; ".join(told) or None


def _pages(pages: Sequence[WrittenPage]) -> str:
    """`14 pages of a.pdf, b.pdf and 3 more files`."""
    names = list(dict.fromkeys(page.doc_id for page in pages))
    more = f" and {_counted(len(names) - 2, 'more file')}" if len(names) > 2 else ""
    return f"{_counted(len(pages), 'page')} of {', '.join(names[:2])}{more}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
