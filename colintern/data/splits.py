"""Taking a dev set out of the training queries, so that nothing of it is seen in training.

Pages that belong together stay together: those of one document, those that show the same, and
those that answer the same question. Such groups are dealt to dev whole, in an order that the seed
decides, until it has its share of the questions.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from colintern.config.schema import DEV
from colintern.data.added_split import Split, with_added
from colintern.data.canonical import CanonicalDataset
from colintern.data.columns import slices, strings
from colintern.data.views import (
    Known,
    KnownIds,
    Positions,
    View,
    make_view,
    text_numbers,
    texts_of,
)
from colintern.errors import DatasetError

_MOST = 1.5  # times its share may dev become by its last group


class TiedPages(Known, Protocol):
    """Pages, and what ties them to others."""

    @property
    def pictures(self) -> NDArray[np.int32]:
        """A number for what each page shows; equal for the same picture."""
        ...

    @property
    def documents(self) -> NDArray[np.int32]:
        """A number for the document of each page; -1 where it is not known."""
        ...


class UnseenPages(KnownIds):
    """Pages of which only the documents are known, as before encoding.

    Args:
        documents: page id, sorted, to document.
    """

    def __init__(self, documents: Mapping[str, str | None]) -> None:
        super().__init__(strings(list(documents)))
        self.pictures = np.arange(len(documents), dtype=np.int32)
        names = strings(list(documents.values())).dictionary_encode().indices
        self.documents = names.fill_null(-1).to_numpy(zero_copy_only=False)


def split_views(
    name: str,
    dataset: CanonicalDataset,
    pages: TiedPages,
    dev_fraction: float,
    seed: int,
    encoded: Known | None = None,
) -> tuple[View, View]:
    """A training view and a dev view of one dataset.

    Dev is searched over all pages; the groups dealt to dev are neither trained on nor mined.
    Judgements that people have added change nothing of how groups are dealt.

    Args:
        name: of the training view.
        dataset: where queries and judgements are read.
        pages: those that have features.
        dev_fraction: about this share of the query texts becomes dev.
        seed: another one deals other groups.
        encoded: the queries that have features, as in `make_view`.

    Raises:
        DatasetError: one of the two would be empty.
    """
    queries, judgements = dataset.asked, dataset.own_judgements
    numbers = text_numbers(queries.texts)
    texts = texts_of(judgements, queries, numbers)
    judged_pages = pages.find(judgements.page_ids)[judgements.pages]
    is_there = judged_pages >= 0
    is_tie = is_there & (texts >= 0)
    group_of = _groups(pages, judged_pages[is_tie], texts[is_tie])
    # All pages of a text are tied by it, so that each text is of one group.
    asked, first = np.unique(texts[is_tie], return_index=True)
    groups, num_texts = np.unique(group_of[judged_pages[is_tie][first]], return_counts=True)
    if len(groups) == 1:
        raise DatasetError(
            f"{dataset.path}: all questions hang together, by one document, equal pages or equal "
            "questions, and dev takes whole documents; add questions about another document, or "
            "set data.dev to another dataset"
        )
    is_dev = np.zeros(len(group_of), dtype=bool)
    is_dev[_dealt(groups, num_texts, pages.ids, len(asked), dev_fraction, seed)] = True
    is_dev = np.append(is_dev[group_of], False)  # the last is that of -1: no features

    def rows(is_in_dev: bool) -> Positions:
        """Whole queries: the pages that answer one are of one group, or have no features.

        A query that cannot be asked ties no pages together, and may be on both sides.
        """
        is_side = is_there & (is_dev[judged_pages] == is_in_dev)
        return np.unique(judgements.queries[is_side])

    def views(split: Split) -> tuple[View, View]:
        is_trained_on = np.flatnonzero(~split.is_held_out)
        train = make_view(name, pages, is_trained_on, queries, split.train, encoded)
        everything = np.arange(len(pages.ids))
        return train, make_view(DEV, pages, everything, queries, split.dev, encoded)

    split = Split(is_dev[:-1], *(judgements.of_queries(rows(side)) for side in (False, True)))
    train, dev = views(split)
    if empty := _empty(train, dev):
        raise DatasetError(
            f"{dataset.path}: data.dev_fraction={dev_fraction} leaves no {empty} queries "
            "(documents, equal pages and equal questions are kept together: "
            f"{len(groups)} groups); change data.dev_fraction, or set data.dev to another dataset"
        )
    if dataset.added is None:
        return train, dev
    train, dev = views(with_added(split, dataset, pages, pages.pictures, numbers))
    if empty := _empty(train, dev):
        raise DatasetError(
            f"data.judgements: leaves no {empty} queries of {dataset.path}; take lines out of it"
        )
    return train, dev


def _empty(train: View, dev: View) -> str | None:
    """Which of the two has no query."""
    if not len(train.judged):
        return "training"
    return None if len(dev.judged) else "dev"


def _groups(pages: TiedPages, judged_pages: Positions, texts: Positions) -> NDArray[np.int32]:
    """Of each page, the first page of its group.

    Args:
        pages: which pictures and documents tie.
        judged_pages: of each judgement, its page.
        texts: of each judgement, the number of the text that ties its page to others.
    """
    from scipy.sparse import csr_array  # a third of a second for every worker, where few split
    from scipy.sparse.csgraph import connected_components

    pictures, documents = pages.pictures, pages.documents  # which are made at first use
    everything = np.arange(len(pages.ids), dtype=np.int32)
    has_document = everything
    if (documents < 0).any():
        has_document = np.flatnonzero(documents >= 0)
    ties = [
        (everything, pictures),
        (has_document, documents[has_document]),
        (judged_pages, texts),
    ]
    from_page, to_page = (np.concatenate(ends) for ends in zip(*map(_links, ties), strict=True))
    links = (np.ones(len(from_page)), (from_page, to_page))  # float64, as the search wants it
    graph = csr_array(links, shape=(len(everything), len(everything)))
    del links, from_page, to_page
    num_groups, group_of = connected_components(graph, directed=False)
    return _first_of_each(everything, group_of, num_groups)[group_of]


def _links(
    tie: tuple[Positions, NDArray[np.integer]],
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Pages, and of each the first page that it is tied to; without the first pages themselves.

    Args:
        tie: pages, and of each the number of what ties it to others.
    """
    tied, by = tie
    to_page = _first_of_each(tied, by, int(by.max(initial=-1)) + 1)[by]
    is_link = tied != to_page
    return tied[is_link].astype(np.int32), to_page[is_link]


def _first_of_each(
    pages: NDArray[np.integer], numbers: NDArray[np.integer], num_numbers: int
) -> NDArray[np.int32]:
    """Of each number the first of `pages` that has it; `numbers` are those of the pages."""
    first = np.zeros(num_numbers, dtype=np.int32)
    first[numbers[::-1]] = pages[::-1]  # the last that is assigned counts
    return first


def _dealt(
    groups: np.ndarray,
    num_texts: np.ndarray,
    page_ids: pa.Array,
    num_asked: int,
    fraction: float,
    seed: int,
) -> Sequence[int]:
    """The groups that become dev; a group that would make it much too large is passed over.

    When all are too large, as those of a few long documents are, dev is the smallest.

    Args:
        groups: those with a question, as the positions of their first pages.
        num_texts: how many questions each has.
        page_ids: of all pages.
        num_asked: all questions together.
        fraction: the share of them that becomes dev.
        seed: decides on the order.
    """
    ids = (part.to_pylist() for part in slices(page_ids.take(pa.array(groups))))
    digests = [
        hashlib.sha256(f"{seed} {page_id}".encode()).digest() for part in ids for page_id in part
    ]
    order = sorted(range(len(groups)), key=digests.__getitem__)
    share = fraction * num_asked
    dealt: list[int] = []
    count = 0
    for index in order:
        if count < share and count + num_texts[index] <= max(1.0, _MOST * share):
            dealt.append(int(groups[index]))
            count += int(num_texts[index])
    if not dealt and len(groups) > 1:
        smallest = min(order, key=num_texts.__getitem__)  # the first of them in order
        dealt.append(int(groups[smallest]))
    return dealt
