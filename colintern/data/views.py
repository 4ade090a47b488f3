"""What a stage sees of a dataset: the pages it may search, its queries, and their judgements.

Mining and training see train pages only; dev and test sets are views of their own. When `data.dev`
is left out, some of the training queries become dev, and the pages judged for them leave training.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from colintern.data.canonical import CanonicalDataset
from colintern.data.entities import Query
from colintern.data.text import normalised
from colintern.errors import DatasetError

Judgements = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class View:
    """A searched corpus and the queries judged on it.

    Attributes:
        page_ids: the corpus, sorted by code point; a page's ordinal is its place here.
        queries: the judged queries, sorted by id.
        judgements: query id to page id to score; every query of `queries` has an entry.
        positives: query id to all pages judged for that query or for an equal query text.
    """

    name: str
    page_ids: tuple[str, ...]
    queries: tuple[Query, ...]
    judgements: Judgements
    positives: Mapping[str, frozenset[str]]

    def pairs(self) -> list[tuple[str, str]]:
        """The training examples: every (query id, page id) judged relevant, in order of ids."""
        known = set(self.page_ids)
        return [
            (query.query_id, page_id)
            for query in self.queries
            for page_id in sorted(self.judgements[query.query_id])
            if page_id in known
        ]


def whole_view(name: str, dataset: CanonicalDataset, page_ids: Sequence[str]) -> View:
    """All of a dataset, as a test set or a development set of its own is seen.

    Args:
        name: what the dataset is called in the run.
        dataset: where queries and judgements are read.
        page_ids: the pages that have features.
    """
    return _view(name, page_ids, dataset.queries(), dataset.judgements())


def split_views(
    name: str, dataset: CanonicalDataset, page_ids: Sequence[str], dev_fraction: float, seed: int
) -> tuple[View, View]:
    """A training view and a dev view of one dataset.

    Dev gets about `dev_fraction` of the query texts, chosen by a hash, so that the choice stays
    when queries are added. Dev is searched over all pages; the pages judged for dev queries are
    neither trained on nor mined.

    Raises:
        DatasetError: one of the two would be empty.
    """
    queries, judgements = dataset.queries(), dataset.judgements()
    is_dev = {
        query.query_id: _chosen(normalised(query.text), dev_fraction, seed)
        for query in queries
        if query.query_id in judgements
    }
    dev_judgements = {key: pages for key, pages in judgements.items() if is_dev.get(key)}
    dev_pages = {page_id for pages in dev_judgements.values() for page_id in pages}
    train_judgements = {
        key: kept
        for key, pages in judgements.items()
        if is_dev.get(key) is False
        and (kept := {page: score for page, score in pages.items() if page not in dev_pages})
    }
    train_pages = [page_id for page_id in page_ids if page_id not in dev_pages]
    train = _view(name, train_pages, queries, train_judgements)
    dev = _view("dev", page_ids, queries, dev_judgements)
    if not train.queries or not dev.queries:
        empty = "training" if not train.queries else "dev"
        raise DatasetError(
            f"{dataset.path}: data.dev_fraction={dev_fraction} leaves no {empty} queries; "
            "change it or name a data.dev of its own"
        )
    return train, dev


def _view(
    name: str, page_ids: Collection[str], queries: Sequence[Query], judgements: Judgements
) -> View:
    judged = [query for query in queries if query.query_id in judgements]
    by_text: dict[str, set[str]] = {}
    for query in judged:
        by_text.setdefault(normalised(query.text), set()).update(judgements[query.query_id])
    return View(
        name=name,
        page_ids=tuple(sorted(page_ids)),
        queries=tuple(sorted(judged, key=lambda query: query.query_id)),
        judgements={query.query_id: judgements[query.query_id] for query in judged},
        positives={query.query_id: frozenset(by_text[normalised(query.text)]) for query in judged},
    )


def _chosen(text: str, fraction: float, seed: int) -> bool:
    digest = hashlib.sha256(f"{seed} {text}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < fraction * 2**64
