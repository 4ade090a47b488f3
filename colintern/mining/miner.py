"""Mining: search the training corpus with the heads of the last round, keep the near misses.

This is the algorithm, over shards wherever they live; `runtime` gives it Ray actors.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from colintern.config.schema import MiningConfig
from colintern.data.columns import offsets_of
from colintern.data.triples import Triple
from colintern.data.views import Positives, View
from colintern.features.store import Items
from colintern.mining.evidence import Evidence
from colintern.mining.near_duplicates import Choice, selections
from colintern.mining.rules import Ranked, Selection, select_negatives
from colintern.scoring.queries import EmbeddedQueries
from colintern.search import order, searcher
from colintern.search.likeness import likeness
from colintern.search.method import is_exact_best
from colintern.search.shards import Shards

CERTIFIED_QUERIES = 200  # searched exactly as well, every round, to certify an approximate search


@dataclass(frozen=True)
class Corpus:
    """The searched corpus beside its shards.

    Attributes:
        view: its pages and queries.
        pictures: of every page of the corpus, what it shows: equal for the same page.
        num_tokens: of all pages.
    """

    view: View
    pictures: NDArray[np.int32]
    num_tokens: int

    @classmethod
    def of(cls, view: View, pages: Items) -> "Corpus":
        """The corpus of a view over the pages of its store."""
        num_tokens = int(pages.num_tokens[view.pages].sum(dtype=np.int64))
        return cls(view, pages.pictures[view.pages], num_tokens)


@dataclass(frozen=True)
class Certificate:
    """How a search was done, and the recall it was found to have (1.0 for exact)."""

    search: str
    candidates: int | None
    recall: float
    num_queries: int


def mine(
    corpus: Corpus,
    shards: Shards,
    queries: EmbeddedQueries,
    settings: MiningConfig,
    seed: int,
    write: Callable[[Triple], None],
    on_progress: Callable[[int], None],
) -> dict[str, Any]:
    """Find the hard negatives of every query of the view.

    Args:
        corpus: the training pages.
        shards: their embeddings.
        queries: the embedded queries, in the order of `corpus.view.queries`.
        settings: the rules.
        seed: for the certificate's sample and `sampling: random`.
        write: given each triple, in query order; none is kept.
        on_progress: told the number of queries done.

    Returns:
        `mining.json` without its settings and hashes.
    """
    certificate = certify(corpus, shards, queries, settings, seed)
    excluded = _Excluded(corpus)
    evidence = Evidence(settings)
    blocks = _searched(shards, queries, _depths(corpus, excluded, settings), certificate)
    for (start, block), key_BK in zip(queries.blocks(searcher.QUERY_BLOCK), blocks, strict=True):
        asked = range(start, start + len(block))
        query_ids = corpus.view.asked_at(np.arange(start, asked.stop)).ids.to_pylist()
        positive_keys = searcher.rescored(shards, block, excluded.positive_ordinals(asked))
        choices = []
        for query, query_id, ranked, positives in zip(
            asked, query_ids, _ranked(key_BK), _ranked(positive_keys), strict=True
        ):
            if positives:  # else its pages are bad ones: nothing to train on
                draw = f"{seed} {query_id}"
                choices.append(_choice(query, positives, ranked, excluded, settings, draw))
        made = selections(choices, partial(likeness, shards), settings)
        for triple, selection in zip(_triples(choices, made, corpus.view), made, strict=True):
            write(triple)
            evidence.add(triple, selection)
        on_progress(asked.stop)
    return {
        "search_used": certificate.search,
        "recall": certificate.recall,
        "recall_queries": certificate.num_queries,
        "candidates": certificate.candidates,
        **evidence.summary(),
    }


def _choice(
    query: int,
    positives: list[Ranked],
    ranked: list[Ranked],
    excluded: "_Excluded",
    settings: MiningConfig,
    draw: str,
) -> Choice:
    """The choice of a query's negatives among the pages that were found for it."""
    select = partial(
        select_negatives,
        ranked,
        positives=set(excluded.positives_of(query).tolist()),
        positive_pictures=excluded.pictures_of(query),
        pictures=excluded.pictures[[page.page for page in ranked]].tolist(),
        lowest_positive=min(page.score for page in positives),
        settings=settings,
        seed=draw,
    )
    return Choice(query, positives, lambda alike: select(near_duplicates=alike))


def certify(
    corpus: Corpus, shards: Shards, queries: EmbeddedQueries, settings: MiningConfig, seed: int
) -> Certificate:
    """Choose the search, and measure an approximate one against the exact top `range_max`.

    Below `min_recall` the candidates are doubled; when they reach the corpus, search is exact.
    """
    num_pages = len(corpus.view.pages)
    if settings.search == "exact" or (
        settings.search == "auto" and _exact_is_best(corpus, queries, settings)
    ):
        return Certificate("exact", None, 1.0, 0)
    sample = _sample(queries, seed)
    depth = min(settings.range_max, num_pages)
    truth = torch.cat(list(searcher.exact(shards, sample, depth)))
    candidates = max(settings.candidates, depth)
    while candidates < num_pages:
        found = torch.cat(list(searcher.pooled(shards, sample, depth, candidates)))
        recall = searcher.recall(found, truth)
        if recall >= settings.min_recall:
            return Certificate("faiss", candidates, recall, len(sample))
        candidates *= 2
    return Certificate("exact", None, 1.0, len(sample))


def _exact_is_best(corpus: Corpus, queries: EmbeddedQueries, settings: MiningConfig) -> bool:
    return is_exact_best(
        num_queries=len(queries),
        query_tokens=sum(queries.lengths),
        num_pages=len(corpus.view.pages),
        page_tokens=corpus.num_tokens,
        dim=queries.token_TE.shape[1],
        candidates=max(settings.candidates, settings.range_max),
        certified_queries=CERTIFIED_QUERIES,
    )


def _sample(queries: EmbeddedQueries, seed: int) -> EmbeddedQueries:
    """A seeded sample of the queries, in their order."""
    size = min(CERTIFIED_QUERIES, len(queries))
    return queries.take(sorted(random.Random(seed).sample(range(len(queries)), size)))


def _searched(
    shards: Shards, queries: EmbeddedQueries, depths: Sequence[int], certificate: Certificate
) -> Iterator[Tensor]:
    if certificate.candidates is None:
        return searcher.exact(shards, queries, depths)
    return searcher.pooled(shards, queries, depths, certificate.candidates)


def _depths(corpus: Corpus, excluded: "_Excluded", settings: MiningConfig) -> list[int]:
    """How deep each block is searched, so that `range_max` pages are left of every query."""
    num_queries = len(corpus.view.queries)
    blocks = range(0, num_queries, searcher.QUERY_BLOCK)
    most = [
        max(map(excluded.num_excluded, range(start, min(num_queries, start + blocks.step))))
        for start in blocks
    ]
    return [min(len(corpus.view.pages), settings.range_max + number) for number in most]


class _Excluded:
    """The pages that may never be negatives of a query: its positives, and their copies.

    Queries are indices, pages are ordinals of the corpus.
    """

    def __init__(self, corpus: Corpus) -> None:
        pages, positives = corpus.view.pages, corpus.view.positives
        ordinals = np.searchsorted(pages, positives.pages)
        is_searched = ordinals < len(pages)
        is_searched[is_searched] = pages[ordinals[is_searched]] == positives.pages[is_searched]
        offsets = offsets_of(is_searched)[positives.offsets]
        self._positives = Positives(positives.text_of, offsets, ordinals[is_searched])
        self.pictures = corpus.pictures
        self._copies = np.bincount(corpus.pictures)

    def num_excluded(self, query: int) -> int:
        """How many pages are excluded for a query."""
        return int(self._copies[list(self.pictures_of(query))].sum())

    def positives_of(self, query: int) -> NDArray[np.int64]:
        """The positives of a query that are in the corpus, ascending."""
        return self._positives[query]

    def pictures_of(self, query: int) -> set[int]:
        """What the positives of a query show."""
        return set(self.pictures[self.positives_of(query)].tolist())

    def positive_ordinals(self, queries: Sequence[int]) -> Tensor:
        """The positives of each query that are in the corpus: ordinal_BC, filled up with -1."""
        rows = [torch.from_numpy(self.positives_of(query)) for query in queries]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)


def _ranked(key_BK: Tensor) -> Iterator[list[Ranked]]:
    """The pages in each row of `key_BK`, in its order; `NO_PAGE` stands only at its end."""
    pages, scores = order.to_ordinals(key_BK).tolist(), order.to_scores(key_BK).tolist()
    for num_pages, *row in zip(
        (key_BK != order.NO_PAGE).sum(dim=1).tolist(), pages, scores, strict=True
    ):
        found = (values[:num_pages] for values in row)
        yield list(map(Ranked, *found, range(1, num_pages + 1)))


def _triples(
    choices: Sequence[Choice], selections: Sequence[Selection], view: View
) -> Iterator[Triple]:
    """What is written of some queries and their negatives: ids instead of numbers."""
    asked = view.asked_at(np.array([choice.query for choice in choices], np.int64))
    both = [
        (choice.positives, made.negatives) for choice, made in zip(choices, selections, strict=True)
    ]
    pages = [page.page for own in both for ranked in own for page in ranked]
    page_ids = iter(view.page_ids(np.array(pages, np.int64)).to_pylist())
    for query_id, text, (positives, negatives) in zip(
        asked.ids.to_pylist(), asked.texts.to_pylist(), both, strict=True
    ):
        yield Triple(
            query_id=query_id,
            query=text,
            pos=list(islice(page_ids, len(positives))),
            negs=list(islice(page_ids, len(negatives))),
            pos_scores=[page.score for page in positives],
            neg_scores=[page.score for page in negatives],
            neg_ranks=[page.rank for page in negatives],
        )
