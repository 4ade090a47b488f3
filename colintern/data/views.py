"""What a stage sees of a dataset: the pages it may search, its queries, and their judgements.

Mining and training see train pages only; dev and test sets are views of their own. How a dev set is
taken out of the training queries stands in `data.splits`.

Pages and queries are numbers in arrays: a page is its position in the manifest of the store, whose
pages are sorted by id. No Python object is kept for a page or a query.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from colintern.data.canonical import CanonicalDataset
from colintern.data.columns import find, offsets_of, slices
from colintern.data.judgements import Judgements
from colintern.data.queries import Queries
from colintern.data.text import normalised
from colintern.errors import DatasetError

Positions = NDArray[np.int64]


class Known(Protocol):
    """Items that are known by distinct, sorted ids: those of a store, for instance."""

    @property
    def ids(self) -> pa.Array:
        """All ids, sorted by code point; the index of one is its item's position."""
        ...

    def find(self, ids: pa.Array) -> Positions:
        """The positions of items; -1 for an id that is not known."""
        ...


class KnownIds:
    """Items of which nothing but the ids is known."""

    def __init__(self, ids: pa.Array) -> None:
        self.ids = ids

    def find(self, ids: pa.Array) -> Positions:
        """The positions of items; -1 for an id that is not known."""
        return find(ids, self.ids)


@dataclass(frozen=True)
class Positives:
    """The pages that answer each query: judged for it, or for a query with an equal text.

    Attributes:
        text_of: of each query, the number of its text; equal texts have one number.
        offsets: the pages of text t are those from `offsets[t]` up to `offsets[t + 1]`.
        pages: positions in the store, ascending in a text.
    """

    text_of: Positions
    offsets: Positions
    pages: Positions

    def __getitem__(self, query: int) -> Positions:
        text = self.text_of[query]
        return self.pages[self.offsets[text] : self.offsets[text + 1]]


@dataclass(frozen=True, eq=False)
class View:
    """A searched corpus and the queries judged on it.

    Attributes:
        name: what the view is called.
        pages: the corpus, as positions in the store, ascending; a page's ordinal is its index here.
        queries: the judged queries that can be asked and have features, as positions in the store,
            ascending. What is said of "query q" elsewhere is said of the one at index q here.
        judged: the judged queries with a proper text, with features or without.
        asked: of `queries`, the indices in `judged`.
        judgements: of those queries and of judged ones that cannot be asked: blank or overlong.
        stored_ids: the ids of all pages of the store.
        judged_pages: of each of `judgements.page_ids`, the position in the store; -1 for a page
            without features.
    """

    name: str
    pages: Positions
    queries: Positions
    judged: Queries
    asked: Positions
    judgements: Judgements
    stored_ids: pa.Array
    judged_pages: Positions

    @property
    def query_ids(self) -> pa.Array:
        """The ids of `queries`, sorted."""
        return self._of_asked(self.judged.ids)

    @property
    def texts(self) -> pa.Array:
        """The texts of `queries`."""
        return self._of_asked(self.judged.texts)

    def asked_at(self, queries: Positions) -> Queries:
        """Ids, texts and more of some of `queries`, ascending; of no other one is anything copied.

        Args:
            queries: their indices in `queries`.
        """
        return self.judged.take(self.asked[queries])

    def _of_asked(self, column: pa.Array) -> pa.Array:
        return column if len(self.asked) == len(column) else column.take(pa.array(self.asked))

    def page_ids(self, ordinals: Positions | None = None) -> pa.Array:
        """The ids of some pages of the corpus, or of all of them."""
        pages = self.pages if ordinals is None else self.pages[ordinals]
        return self.stored_ids.take(pa.array(pages))

    @property
    def is_searched(self) -> NDArray[np.bool_]:
        """Of each page of the store whether the corpus has it; at last, for -1, that it has not."""
        found = np.zeros(len(self.stored_ids) + 1, dtype=bool)
        found[self.pages] = True
        return found

    def pairs(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The training examples: every query with every page judged relevant, in order of ids.

        Returns:
            Of each pair the query q and the page's position in the store.
        """
        query_of = np.full(len(self.judgements), -1, dtype=np.int32)
        rows = find(self.query_ids, self.judgements.query_ids)
        query_of[rows] = np.arange(len(rows), dtype=np.int32)
        queries = query_of[self.judgements.queries]
        pages = self.judged_pages[self.judgements.pages]
        is_pair = (queries >= 0) & self.is_searched[pages]
        return queries[is_pair], pages[is_pair].astype(np.int32)

    @cached_property
    def positives(self) -> Positives:
        """The pages in the store that answer each query, whether the corpus has them or not."""
        texts = text_numbers(self.judged.texts)
        of_judged = texts_of(self.judgements, self.judged, texts)
        pages = self.judged_pages[self.judgements.pages]
        is_there = (of_judged >= 0) & (pages >= 0)
        num_pages = max(1, len(self.stored_ids))
        found = np.unique(of_judged[is_there] * num_pages + pages[is_there])
        counts = np.bincount(found // num_pages, minlength=int(texts.max(initial=-1)) + 1)
        return Positives(texts[self.asked], offsets_of(counts), found % num_pages)


def whole_view(
    name: str, dataset: CanonicalDataset, pages: Known, queries: Known | None = None
) -> View:
    """All of a dataset, as a test set or a development set of its own is seen.

    Args:
        name: what the dataset is called in the run.
        dataset: where queries and judgements are read.
        pages: those that have features.
        queries: as in `make_view`.
    """
    everything = np.arange(len(pages.ids))
    return make_view(name, pages, everything, dataset.asked, dataset.judgements(), queries)


def view_without(
    name: str,
    dataset: CanonicalDataset,
    pages: Known,
    left_out: Positions,
    queries: Known | None = None,
) -> View:
    """A training set without some of its pages and without the queries that only they answer.

    Args:
        name: what the dataset is called in the run.
        dataset: where queries and judgements are read.
        pages: those that have features.
        left_out: the positions of those that answer queries of the dev set.
        queries: as in `make_view`.

    Raises:
        DatasetError: no query is left.
    """
    judgements = dataset.judgements()
    is_kept = np.ones(len(pages.ids) + 1, dtype=bool)  # the last is that of -1: no features
    is_kept[left_out] = False
    position = pages.find(judgements.page_ids)
    kept = judgements.where(is_kept[position[judgements.pages]])
    view = make_view(name, pages, np.flatnonzero(is_kept[:-1]), dataset.asked, kept, queries)
    if not len(view.judged):
        raise DatasetError(
            f"{dataset.path}: every page that answers a training query also answers a dev query; "
            "give dev queries of its own, or set data.dev=null to take data.dev_fraction of train"
        )
    return view


def make_view(
    name: str,
    pages: Known,
    searched: Positions,
    queries: Queries,
    judgements: Judgements,
    encoded: Known | None = None,
) -> View:
    """A view of some pages and of the queries that `judgements` has.

    Args:
        name: what the view is called.
        pages: those that have features.
        searched: the corpus, as positions in `pages`, ascending.
        queries: all that have a proper text; of the others nothing can be learned, and all that is
            judged for them stays unfound.
        judgements: what is judged.
        encoded: the queries that have features. Only they are asked, but all stay judged: a query
            that cannot be asked has found nothing, which counts as 0. None: all have some.
    """
    judged = queries.take(np.flatnonzero(find(queries.ids, judgements.query_ids) >= 0))
    position = np.arange(len(judged)) if encoded is None else encoded.find(judged.ids)
    asked = np.flatnonzero(position >= 0)
    return View(
        name=name,
        pages=searched,
        queries=position[asked],
        judged=judged,
        asked=asked,
        judgements=judgements,
        stored_ids=pages.ids,
        judged_pages=pages.find(judgements.page_ids),
    )


def text_numbers(texts: pa.Array) -> Positions:
    """A number for each text; those that are equal as queries have the same one."""
    parts = [
        pa.array([_hash(text) for text in part.to_pylist()], pa.binary(16))
        for part in slices(texts)
    ]
    encoded = pa.chunked_array(parts, pa.binary(16)).dictionary_encode().combine_chunks()
    return encoded.indices.to_numpy().astype(np.int64)


def texts_of(judgements: Judgements, queries: Queries, texts: Positions) -> Positions:
    """Of each judgement the number of its query's text; -1 where `queries` has it not.

    Args:
        judgements: what is judged.
        queries: those with a proper text.
        texts: the number of each query's text.
    """
    row = find(judgements.query_ids, queries.ids)
    text = np.append(texts, -1)[row]
    return np.repeat(text, np.diff(judgements.offsets))


def _hash(text: str) -> bytes:
    return hashlib.blake2b(normalised(text).encode(), digest_size=16).digest()
