"""What ingest tells about its work: what is bad, and the summary."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

_SHOWN_BAD = 20
_KEYS = {"bad": "refused", "bad_queries": "refused_queries"}  # in `dataset.json`


@dataclass(frozen=True)
class BadItem:
    """A page, file or query that is bad: not in the dataset, or not whole.

    Attributes:
        name: of the file, page or query.
        page: from 1, where it is known.
        reason: in a few words.
        is_warning: it is in the dataset nevertheless.
    """

    name: str
    page: int | None
    reason: str
    is_warning: bool = False

    def line(self) -> str:
        """For a person; a name may hold line breaks, and codes that a terminal obeys."""
        text = f"{self.name}{f', page {self.page}' if self.page else ''}: {self.reason}"
        return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def counted(kinds: Mapping[str, int]) -> str:
    """Files by kind, for a person: `7 .docx, 1 hidden`."""
    return ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())


def equal_pages(pages: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Groups of at least two ids that show the same, from pairs of id and hash."""
    groups: dict[str, list[str]] = {}
    for page_id, picture in pages:
        groups.setdefault(picture, []).append(page_id)
    return [group for group in groups.values() if len(group) > 1]


@dataclass(frozen=True)
class Report:
    """What became of the sources; `dataset.json` in the dataset folder.

    Attributes:
        pages: written.
        documents: with at least one page written: files, or what a dataset calls so.
        bad: pages and files that are not in the dataset, with the reasons; and warnings.
        bad_queries: questions, or rows of the queries file, that are not in the dataset.
        skipped: files that are not taken, counted by the ending of their names, or as hidden.
        duplicates: groups of page ids that show the same, pixel by pixel; all are written.
        queries: written; those with equal texts count once.
        judgements: written.
        settings: that decided what the pages look like.
        pages_of_pdfs: those of `pages` in which a text layer was looked for.
        without_text: those of them that have none.
        asked: questions, or rows of the queries file, bad ones included; 0 if it is unknown.
    """

    pages: int
    documents: int
    bad: Sequence[BadItem]
    bad_queries: Sequence[BadItem]
    skipped: Mapping[str, int]
    duplicates: Sequence[Sequence[str]]
    queries: int
    judgements: int
    settings: dict[str, Any]
    pages_of_pdfs: int = 0
    without_text: int = 0
    asked: int = 0

    @property
    def bad_fraction(self) -> float:
        """The share of bad pages and files in all that were looked at."""
        num_bad = _num_lost(self.bad)
        return num_bad / max(1, num_bad + self.pages)

    def lines(self) -> list[str]:
        """The summary for a person, with the first bad items; all are in `dataset.json`."""
        num_lost = _num_lost(self.bad)
        lines = [
            f"{self.pages:,} pages of {self.documents:,} documents   {self.queries:,} queries   "
            f"{self.judgements:,} judgements",
            f"{num_lost:,} bad   {len(self.bad) - num_lost:,} warnings   "
            f"{len(self.duplicates):,} groups of equal pages",
        ]
        if self.without_text:
            lines.append(
                f"no text layer in {self.without_text:,} of {self.pages_of_pdfs:,} pages of PDFs"
            )
        if self.skipped:
            total = sum(self.skipped.values())
            files = "1 file of another kind" if total == 1 else f"{total:,} files of other kinds"
            lines.append(f"{files} skipped: {counted(self.skipped)}")
        lines += _first_of(self.bad)
        if self.bad_queries:
            of_all = f" of {self.asked:,}" if self.asked else ""  # earlier versions did not count
            lines.append(f"warning: {len(self.bad_queries):,}{of_all} questions are not used:")
            lines += _first_of(self.bad_queries)
        return lines

    def document(self) -> dict[str, Any]:
        """For JSON, with the keys that it has had since the first version."""
        values = {_KEYS.get(name, name): value for name, value in asdict(self).items()}
        return {"made_by": "colintern ingest", **values}

    def says_as(self, document: Mapping[str, Any]) -> bool:
        """Whether an earlier report says the same, as far as its version says anything."""
        own = self.document()
        return own.keys() >= document.keys() and all(own[key] == document[key] for key in document)


def _first_of(bad: Sequence[BadItem]) -> list[str]:
    lines = [f"  {item.line()}" for item in bad[:_SHOWN_BAD]]
    if len(bad) > _SHOWN_BAD:
        lines.append(f"  and {len(bad) - _SHOWN_BAD:,} more, listed in dataset.json")
    return lines


def _num_lost(found: Sequence[BadItem]) -> int:
    """How many are not in the dataset."""
    return sum(not item.is_warning for item in found)
