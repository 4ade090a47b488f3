"""The examples in the report: the right page of a query beside the pages that were found for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from colintern.config.schema import DataConfig, evaluated_names
from colintern.evaluation.results import DEPTH
from colintern.report.heat import Heat
from colintern.report.pictures import Pictures
from colintern.report.ranks import NOT_FOUND, QueryRanks, best_pages

_FOUND_PAGES = 3  # that are shown of a ranking
_RIGHT_PAGES = 2  # that are shown of a query
_WON = 4  # examples that the best round improved
_FAR, _NEAR = 2, 2  # examples that it gets wrong: by many pages, and by few
_NEAR_RANK = 5


@dataclass
class ShownPage:
    """A page in the report.

    Attributes:
        page_id: its id.
        note: what is written below it.
        is_right: whether it is judged relevant for the query.
        picture: its key in `Pictures.uris`; empty when there is none.
        missing: why there is none.
        heat: where the query's words matched it; None where that is not known.
    """

    page_id: str
    note: str
    is_right: bool
    picture: str = ""
    missing: str = ""
    heat: Heat | None = None


@dataclass
class Example:
    """A query with its right pages, and those that were found.

    Attributes:
        query_id: its id.
        query: its text.
        kind: `won`, `far` or `near`.
        told: what happened, in a sentence.
        right: its right pages.
        found: for the best round, then the one before, by title, the best pages.
        words: of the query, which `ShownPage.heat` is about.
    """

    query_id: str
    query: str
    kind: str
    told: str
    right: list[ShownPage]
    found: list[tuple[str, list[ShownPage]]]
    words: list[str] = field(default_factory=list)

    @property
    def pages(self) -> list[ShownPage]:
        """All that are shown, the most important first."""
        return [*self.right, *(page for _, pages in self.found for page in pages)]

    @property
    def explained(self) -> list[ShownPage]:
        """Those whose match with the query is worth a look: the right ones, and the best found."""
        return [*self.right, *self.found[0][1][:1]] if self.found else self.right


def examples_dataset(data: DataConfig) -> str:
    """The dataset that examples are of: the first test set, or dev if there is none."""
    dev, *tests = evaluated_names(data)
    return tests[0] if tests else dev


def found_examples(ranks: QueryRanks) -> list[Example]:
    """Some queries that the best round improved, and some that it still gets wrong.

    Args:
        ranks: of all queries of the dataset.
    """
    chosen = _chosen(ranks)
    ids = [ranks.query_ids[row] for _, row in chosen]
    shown = dict.fromkeys([ranks.after, ranks.before])
    found = {number: best_pages(ranks.rankings[number].path, ids, _FOUND_PAGES) for number in shown}
    return [_example(ranks, kind, row, found) for kind, row in chosen]


def add_pictures(examples: Sequence[Example], folder: str, pictures: Pictures) -> None:
    """Give the pages of examples their pictures.

    Args:
        examples: in the order of their importance.
        folder: of the dataset that their pages are in.
        pictures: where they are collected.
    """
    pages = [page for example in examples for page in example.pages]
    pictures.take(folder, [page.page_id for page in pages])
    for page in pages:
        page.picture = pictures.key(folder, page.page_id)
        page.missing = pictures.why_missing(folder, page.page_id)


def _chosen(ranks: QueryRanks) -> list[tuple[str, int]]:
    """Kinds and rows: the largest rises to the first place, then the worst and the nearest misses.

    Of queries that are alike those with the first ids are taken.
    """
    before_N, after_N = ranks.rank_RN[ranks.before].astype(int), ranks.rank_RN[ranks.after]
    rise_N = np.where(after_N == 1, before_N - after_N, 0)
    won = [row for row in np.argsort(-rise_N, kind="stable")[:_WON].tolist() if rise_N[row] > 0]
    wrong = np.flatnonzero(after_N > 1)
    worst = wrong[np.argsort(-after_N[wrong], kind="stable")]
    far = worst[:_FAR].tolist()
    near = [row for row in wrong.tolist() if after_N[row] <= _NEAR_RANK and row not in far][:_NEAR]
    return [
        *(("won", row) for row in won),
        *(("far" if after_N[row] > _NEAR_RANK else "near", row) for row in far),
        *(("near", row) for row in near),
    ]


def _example(
    ranks: QueryRanks, kind: str, row: int, found: Mapping[int, Mapping[str, Sequence[str]]]
) -> Example:
    query_id = ranks.query_ids[row]
    own = ranks.relevant[query_id]
    after = _place(int(ranks.rank_RN[ranks.after, row]))
    told = f"First right page {after} {_when(ranks, ranks.after)}"
    if ranks.before != ranks.after:
        before = _place(int(ranks.rank_RN[ranks.before, row]))
        told += f"; {before} {_when(ranks, ranks.before)}"
    rows = [
        (
            f"Found {_when(ranks, number)}",
            [
                ShownPage(page_id, f"rank {rank}", page_id in own)
                for rank, page_id in enumerate(pages.get(query_id, ()), 1)
            ],
        )
        for number, pages in found.items()
    ]
    right = sorted(own, key=lambda page_id: (-own[page_id], page_id))
    return Example(
        query_id,
        ranks.texts[row],
        kind,
        f"{told}.",
        [ShownPage(page_id, "right page", True) for page_id in right[:_RIGHT_PAGES]],
        rows,
    )


def _when(ranks: QueryRanks, number: int) -> str:
    title = ranks.rankings[number].title
    return f"after {title}" if title.startswith("round ") else f"before training ({title})"


def _place(rank: int) -> str:
    return f"not in the first {DEPTH}" if rank == NOT_FOUND else f"at rank {rank}"
