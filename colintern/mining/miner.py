"""Mining: search the training corpus with the heads of the last round, keep the near misses.

This is the algorithm, over shards wherever they live; `runtime` gives it Ray actors.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from colintern.config.schema import MiningConfig
from colintern.data.entities import Query
from colintern.data.triples import Triple
from colintern.data.views import View
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
        pictures: of every page, what it shows (`Items.pictures`): equal for the same page.
        num_tokens: of all pages.
    """

    view: View
    pictures: Sequence[int]
    num_tokens: int


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
    on_progress: Callable[[int], None],
) -> tuple[list[Triple], dict[str, Any]]:
    """Find the hard negatives of every query of the view.

    Args:
        corpus: the training pages.
        shards: their embeddings.
        queries: the embedded queries, in the order of `corpus.view.queries`.
        settings: the rules.
        seed: for the certificate's sample and `sampling: random`.
        on_progress: told the number of queries done.

    Returns:
        The triples in query order, and `mining.json` without its settings and hashes.
    """
    certificate = certify(corpus, shards, queries, settings, seed)
    excluded = _Excluded(corpus)
    triples, evidence = [], Evidence(settings)
    blocks = _searched(shards, queries, _depths(corpus, excluded, settings), certificate)
    for (start, block), key_BK in zip(queries.blocks(searcher.QUERY_BLOCK), blocks, strict=True):
        asked = corpus.view.queries[start : start + len(block)]
        positive_BC = excluded.positive_ordinals(asked)
        positive_keys = searcher.rescored(shards, block, positive_BC)
        choices = []
        for query, ranked_keys, own_keys in zip(asked, key_BK, positive_keys, strict=True):
            positives = _ranked(own_keys, corpus.view)
            if positives:  # else its pages were refused by encoding: nothing to train on
                ranked = _ranked(ranked_keys, corpus.view)
                choices.append(_choice(query, positives, ranked, excluded, settings, seed))
        made = selections(choices, partial(likeness, shards), excluded.ordinal_of, settings)
        for choice, selection in zip(choices, made, strict=True):
            triples.append(_triple(choice.query, choice.positives, selection))
            evidence.add(triples[-1], selection)
        on_progress(start + len(block))
    return triples, {
        "search_used": certificate.search,
        "recall": certificate.recall,
        "recall_queries": certificate.num_queries,
        "candidates": certificate.candidates,
        **evidence.summary(),
    }


def _choice(
    query: Query,
    positives: list[Ranked],
    ranked: list[Ranked],
    excluded: "_Excluded",
    settings: MiningConfig,
    seed: int,
) -> Choice:
    """The choice of a query's negatives among the pages that were found for it."""
    select = partial(
        select_negatives,
        ranked,
        positives=excluded.positives_of(query),
        positive_pictures=excluded.pictures_of(query),
        pictures=[excluded.picture_of(page.page_id) for page in ranked],
        lowest_positive=min(page.score for page in positives),
        settings=settings,
        seed=f"{seed} {query.query_id}",
    )
    return Choice(query, positives, lambda alike: select(near_duplicates=alike))


def certify(
    corpus: Corpus, shards: Shards, queries: EmbeddedQueries, settings: MiningConfig, seed: int
) -> Certificate:
    """Choose the search, and measure an approximate one against the exact top `range_max`.

    Below `min_recall` the candidates are doubled; when they reach the corpus, search is exact.
    """
    num_pages = len(corpus.view.page_ids)
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
        num_pages=len(corpus.view.page_ids),
        page_tokens=corpus.num_tokens,
        dim=queries.token_TE.shape[1],
        candidates=max(settings.candidates, settings.range_max),
        certified_queries=CERTIFIED_QUERIES,
    )


def _sample(queries: EmbeddedQueries, seed: int) -> EmbeddedQueries:
    """A seeded sample of the queries, in their order."""
    size = min(CERTIFIED_QUERIES, len(queries))
    chosen = sorted(random.Random(seed).sample(range(len(queries)), size))
    parts = [queries.between(place, place + 1) for place in chosen]
    return EmbeddedQueries(
        torch.cat([part.token_TE for part in parts]), tuple(part.lengths[0] for part in parts)
    )


def _searched(
    shards: Shards, queries: EmbeddedQueries, depths: Sequence[int], certificate: Certificate
) -> Iterator[Tensor]:
    if certificate.candidates is None:
        return searcher.exact(shards, queries, depths)
    return searcher.pooled(shards, queries, depths, certificate.candidates)


def _depths(corpus: Corpus, excluded: "_Excluded", settings: MiningConfig) -> list[int]:
    """How deep each block is searched, so that `range_max` pages are left of every query."""
    queries = corpus.view.queries
    blocks = range(0, len(queries), searcher.QUERY_BLOCK)
    most = [excluded.most(queries[start : start + searcher.QUERY_BLOCK]) for start in blocks]
    return [min(len(corpus.view.page_ids), settings.range_max + number) for number in most]


class _Excluded:
    """The pages that may never be negatives of a query: its positives, and their copies."""

    def __init__(self, corpus: Corpus) -> None:
        self._view = corpus.view
        self._ordinals = {page: place for place, page in enumerate(corpus.view.page_ids)}
        self._pictures = corpus.pictures
        self._copies = Counter(corpus.pictures)

    def most(self, queries: Sequence[Query]) -> int:
        """Pages excluded for the query that has the most of them."""
        return max(
            sum(self._copies[picture] for picture in self.pictures_of(query)) for query in queries
        )

    def ordinal_of(self, page_id: str) -> int:
        return self._ordinals[page_id]

    def picture_of(self, page_id: str) -> str:
        return self._pictures[self._ordinals[page_id]]

    def positives_of(self, query: Query) -> frozenset[str]:
        return self._view.positives[query.query_id]

    def pictures_of(self, query: Query) -> frozenset[str]:
        return frozenset(
            self.picture_of(page_id)
            for page_id in self.positives_of(query)
            if page_id in self._ordinals
        )

    def positive_ordinals(self, queries: Sequence[Query]) -> Tensor:
        """The positives of each query that are in the corpus: ordinal_BC, filled up with -1."""
        rows = [
            torch.tensor(
                sorted(
                    self._ordinals[page_id]
                    for page_id in self.positives_of(query)
                    if page_id in self._ordinals
                ),
                dtype=torch.int64,
            )
            for query in queries
        ]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)


def _ranked(key_K: Tensor, view: View) -> list[Ranked]:
    """The pages in `key_K`, in its order."""
    keys = key_K[key_K != order.NO_PAGE]
    scores, ordinals = order.to_scores(keys).tolist(), order.to_ordinals(keys).tolist()
    return [
        Ranked(view.page_ids[ordinal], score, rank)
        for rank, (ordinal, score) in enumerate(zip(ordinals, scores, strict=True), start=1)
    ]


def _triple(query: Query, positives: list[Ranked], selection: Selection) -> Triple:
    return Triple(
        query_id=query.query_id,
        query=query.text,
        pos=[page.page_id for page in positives],
        negs=[page.page_id for page in selection.negatives],
        pos_scores=[page.score for page in positives],
        neg_scores=[page.score for page in selection.negatives],
        neg_ranks=[page.rank for page in selection.negatives],
    )
