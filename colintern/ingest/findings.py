"""What ingest tells about its work: the pages that were refused, and the summary."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

_SHOWN_REFUSALS = 20


@dataclass(frozen=True)
class Refusal:
    """A page, file or query that is not in the dataset, or not whole.

    Attributes:
        name: of the file, or of what is refused.
        page: from 1, where it is known.
        reason: in a few words.
        is_warning: what is named is in the dataset all the same.
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
        refused: pages and files that were left out, with the reasons; and warnings.
        refused_queries: rows of the queries file that were left out.
        skipped: files that are not taken, counted by the ending of their names, or as hidden.
        duplicates: groups of page ids that show the same, pixel by pixel; all are written.
        queries: written; those with equal texts count once.
        judgements: written.
        settings: that decided what the pages look like.
    """

    pages: int
    documents: int
    refused: Sequence[Refusal]
    refused_queries: Sequence[Refusal]
    skipped: Mapping[str, int]
    duplicates: Sequence[Sequence[str]]
    queries: int
    judgements: int
    settings: dict[str, Any]

    @property
    def bad_fraction(self) -> float:
        """Refused pages and files, of all that were looked at."""
        num_refused = len(self._lost(self.refused))
        return num_refused / max(1, num_refused + self.pages)

    @staticmethod
    def _lost(found: Sequence[Refusal]) -> list[Refusal]:
        return [refusal for refusal in found if not refusal.is_warning]

    def lines(self) -> list[str]:
        """The summary for a person; the first refusals, the rest is in `dataset.json`."""
        refused = [*self.refused, *self.refused_queries]
        num_lost = len(self._lost(refused))
        lines = [
            f"{self.pages:,} pages of {self.documents:,} documents   {self.queries:,} queries   "
            f"{self.judgements:,} judgements",
            f"{num_lost:,} refused   {len(refused) - num_lost:,} warnings   "
            f"{len(self.duplicates):,} groups of equal pages",
        ]
        if self.skipped:
            total = sum(self.skipped.values())
            lines.append(f"{total:,} files of other kinds skipped: {counted(self.skipped)}")
        lines += [f"  {refusal.line()}" for refusal in refused[:_SHOWN_REFUSALS]]
        if len(refused) > _SHOWN_REFUSALS:
            lines.append(f"  and {len(refused) - _SHOWN_REFUSALS:,} more, listed in dataset.json")
        return lines

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {"made_by": "colintern ingest", **asdict(self)}
