"""What a stage sees of a dataset: the pages it may search, its queries, and their judgements.

Mining and training see train pages only; dev and test sets are views of their own. How a dev set is
taken out of the training queries stands in `data.splits`.
"""

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, replace

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
        queries: the judged queries that can be asked, sorted by id.
        judgements: query id to page id to score, of these and of those that cannot be asked: blank
            or overlong ones, and those without features.
        positives: id of a query with a proper text to all pages judged for it or for an equal text.
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
    return make_view(name, page_ids, dataset.queries(), dataset.judgements())


def view_without(
    name: str, dataset: CanonicalDataset, page_ids: Sequence[str], left_out: Collection[str]
) -> View:
    """A training set without some of its pages and without the queries that only they answer.

    Args:
        name: what the dataset is called in the run.
        dataset: where queries and judgements are read.
        page_ids: the pages that have features.
        left_out: those of them that answer queries of the dev set.

    Raises:
        DatasetError: no query is left.
    """
    judgements = {
        query: {page: score for page, score in found.items() if page not in left_out}
        for query, found in dataset.judgements().items()
    }
    kept = {query: found for query, found in judgements.items() if found}
    view = make_view(
        name, [page for page in page_ids if page not in left_out], dataset.queries(), kept
    )
    if not view.queries:
        raise DatasetError(
            f"{dataset.path}: every page that answers a training query answers one of data.dev; "
            "give dev queries of its own, or set data.dev=null to take data.dev_fraction of train"
        )
    return view


def view_asking(view: View, query_ids: Container[str]) -> View:
    """The same view, which asks no other queries than those.

    All stay judged: a query that cannot be asked has found nothing, which counts as 0.
    """
    asked = tuple(query for query in view.queries if query.query_id in query_ids)
    return replace(view, queries=asked)


def make_view(
    name: str, page_ids: Collection[str], queries: Sequence[Query], judgements: Judgements
) -> View:
    """A view of these pages and of the queries that `judgements` has.

    Args:
        name: what the view is called.
        page_ids: the corpus.
        queries: all that have a proper text; of the others nothing can be learned, and all that is
            judged for them stays unfound.
        judgements: query id to page id to score.
    """
    judged = [query for query in queries if query.query_id in judgements]
    by_text: dict[str, set[str]] = {}
    for query in judged:
        by_text.setdefault(normalised(query.text), set()).update(judgements[query.query_id])
    return View(
        name=name,
        page_ids=tuple(sorted(page_ids)),
        queries=tuple(sorted(judged, key=lambda query: query.query_id)),
        judgements={query_id: judgements[query_id] for query_id in sorted(judgements)},
        positives={query.query_id: frozenset(by_text[normalised(query.text)]) for query in judged},
    )
