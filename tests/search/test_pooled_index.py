"""The best pages by pooled vectors, whatever FAISS rounds, however many pages are equal."""

from fractions import Fraction
from typing import ClassVar

import faiss
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from colintern.config.schema import HeadsConfig, MiningConfig
from colintern.data.entities import Query
from colintern.features.codec import StoredTokens
from colintern.mining.miner import Corpus
from colintern.model.heads import init_heads
from colintern.search import order, pooled_index, searcher
from colintern.search.embedding import embed_queries
from colintern.search.pooled_index import PooledIndex
from colintern.search.shard import CorpusShard, shard_bounds
from colintern.search.shards import LocalShards
from tests.helpers import WIDTH, mined, view_of


def _normalised(vector_DE: Tensor) -> Tensor:
    return torch.nn.functional.normalize(vector_DE, dim=1, eps=1e-12)


def _by_hand(query_BE: Tensor, page_DE: Tensor, depth: int) -> Tensor:
    """All scores in whole numbers, rounded once; the best `depth` of every query."""
    queries, pages = (
        [[round(Fraction(number) * 2**26) for number in row] for row in vectors.tolist()]
        for vectors in (query_BE, page_DE)
    )
    score_BD = torch.tensor(
        [[sum(map(int.__mul__, q, page)) / 2**52 for page in pages] for q in queries]
    )
    return order.best(order.to_keys(score_BD, torch.arange(len(pages))), depth)


def _sharded(query_BE: Tensor, page_DE: Tensor, depth: int, number: int) -> Tensor:
    """What `number` indexes over a part of the pages each find together."""
    bounds = shard_bounds([1] * len(page_DE), number)
    parts = [PooledIndex(page_DE[a:b], a).search(query_BE, depth) for a, b in bounds]
    return order.merge(parts, depth)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_best_pages_are_those_by_hand(data):
    """Equal and nearly equal pages of which FAISS keeps some, as its blocks and heaps have it."""
    draw = torch.Generator().manual_seed(data.draw(st.integers(0, 10_000)))
    dim, num_pages = data.draw(st.sampled_from([1, 3, 16])), data.draw(st.integers(1, 120))
    kinds = data.draw(st.integers(1, 12))
    page_DE = _normalised(torch.randn(kinds, dim, generator=draw))
    page_DE = page_DE[torch.randint(kinds, (num_pages,), generator=draw)]
    page_DE = page_DE * (1 + 2.0**-23 * torch.randint(-2, 3, page_DE.shape, generator=draw))
    page_DE[torch.rand(num_pages, generator=draw) < data.draw(st.sampled_from([0.0, 0.5]))] = 0
    query_BE = torch.cat([0.9 * _normalised(torch.randn(3, dim, generator=draw)), page_DE[:2]])
    depth = data.draw(st.integers(1, num_pages + 5))
    wanted = _by_hand(query_BE, page_DE, min(depth, num_pages))
    slack, pooled_index._SLACK = pooled_index._SLACK, 1
    try:
        for number in (1, 2, 3, 7):
            found = _sharded(query_BE, page_DE, depth, number)
            assert torch.equal(found[:, : wanted.shape[1]], wanted)
            assert (found[:, wanted.shape[1] :] == order.NO_PAGE).all()
    finally:
        pooled_index._SLACK = slack


class _Rounding:
    """An index that is off by as much as FAISS may be, to the disadvantage of the best pages."""

    asked: ClassVar[list[int]] = []

    def __init__(self, index: faiss.IndexFlatIP) -> None:
        self._page_DE = torch.from_numpy(index.reconstruct_n(0, index.ntotal)).double()

    def search(self, query_BE: np.ndarray, wanted: int) -> tuple[np.ndarray, np.ndarray]:
        self.asked.append(wanted)
        score = torch.from_numpy(query_BE).double() @ self._page_DE.T
        middle = score.median(dim=1, keepdim=True).values
        off = 0.99 * query_BE.shape[1] * 2.0**-24 * (score > middle).double()
        found = (score - off).float().topk(wanted, dim=1)
        return found.values.numpy(), found.indices.numpy()


@pytest.fixture
def rounding(monkeypatch) -> list[int]:
    """How many neighbours are asked for each time, of a FAISS that rounds as badly as it may."""
    monkeypatch.setattr(_Rounding, "asked", [])
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", _Rounding, raising=False)
    return _Rounding.asked


def test_a_page_that_rounding_puts_too_low_is_found(rounding):
    """A page among the best that float32 sums rank behind the last that is asked for."""
    draw = torch.Generator().manual_seed(0)
    near_DE = torch.ones(400, 8) + 1e-6 * torch.randn(400, 8, generator=draw)
    page_DE = _normalised(near_DE)
    query_BE = _normalised(torch.ones(4, 8) + 0.1 * torch.randn(4, 8, generator=draw))
    found = PooledIndex(page_DE).search(query_BE, 50)
    assert torch.equal(found, _by_hand(query_BE, page_DE, 50))
    assert len(set(rounding)) > 1


def test_mostly_the_first_answer_is_enough(rounding):
    """Every query searched again and again, down to the last page."""
    draw = torch.Generator().manual_seed(0)
    index = PooledIndex(_normalised(torch.randn(5_000, 64, generator=draw)))
    index.search(_normalised(torch.randn(50, 64, generator=draw)), 100)
    assert rounding == [132]


def test_equal_pages_stand_in_the_index_once(rounding):
    """A million blank pages, all asked of FAISS for a query that is near to them."""
    index = PooledIndex(torch.eye(4)[[2, 0, 2, 2, 1, 0, 2]], first_ordinal=10)
    found = order.to_ordinals(index.search(torch.tensor([[0.1, 0.0, 0.9, 0.0]]), 5))
    assert found.tolist() == [[10, 12, 13, 16, 11]]
    assert rounding == [3]


def test_what_is_found_does_not_depend_on_the_budget(monkeypatch):
    """The vectors of all queries' candidates in memory at one time, or a query's part lost."""
    draw = torch.Generator().manual_seed(0)
    index = PooledIndex(_normalised(torch.randn(50, 16, generator=draw)))
    query_BE = _normalised(torch.randn(7, 16, generator=draw))
    whole = index.search(query_BE, 20)
    for budget in (1, 500, 5_000):
        monkeypatch.setattr(pooled_index, "_BATCH_BYTES", budget)
        assert torch.equal(index.search(query_BE, 20), whole)
    assert whole.shape == (7, 20)


class _Memory:
    """Features of pages or queries, as of a store."""

    def __init__(self, features: dict[str, Tensor]) -> None:
        self._ids, self._features = sorted(features), features
        self.num_tokens = np.array([len(features[item_id]) for item_id in self._ids])

    def read(self, positions: np.ndarray) -> tuple[StoredTokens, list[int]]:
        parts = [self._features[self._ids[position]] for position in positions]
        return StoredTokens(torch.cat(parts)), [len(part) for part in parts]


@pytest.fixture
def blank_pages():
    """400 pages, of which 60 are one image, and 32 queries that are nearest to it."""
    draw = torch.Generator().manual_seed(0)
    blank = torch.randn(6, WIDTH, generator=draw)
    pages = {f"p{n:03d}": torch.randn(6, WIDTH, generator=draw) for n in range(400)}
    for number in torch.randperm(400, generator=draw)[:60].tolist():
        pages[f"p{number:03d}"] = blank
    queries = {
        f"q{n:02d}": blank[:4] + 0.5 * torch.randn(4, WIDTH, generator=draw) for n in range(32)
    }
    heads = init_heads(HeadsConfig(dim=16, shared=True), WIDTH, seed=3)
    embedded = embed_queries(heads, _Memory(queries), np.arange(len(queries)))  # pyright: ignore

    def shards(number: int) -> LocalShards:
        items = _Memory(pages)
        bounds = shard_bounds(items.num_tokens, number)
        parts = [(np.arange(start, end), start) for start, end in bounds]
        return LocalShards([CorpusShard(items, heads, *part) for part in parts])  # pyright: ignore

    asked = [Query(query_id, query_id) for query_id in queries]
    view = view_of(list(pages), asked, {q.query_id: {"p000": 1} for q in asked})
    sums = [pages[page_id].sum().item() for page_id in sorted(pages)]
    pictures = np.unique(sums, return_inverse=True)[1].astype(np.int32)
    return Corpus(view, pictures, 2_400), shards, embedded


def test_more_equal_pages_than_candidates(blank_pages):
    """Candidates, and the triples mined from them, that depend on the number of shards."""
    corpus, shards, queries = blank_pages
    settings = MiningConfig(
        search="faiss", min_recall=0.0, candidates=40, range_max=30, relative_margin=0.0
    )
    flat = torch.cat(list(searcher.pooled(shards(1), queries, 30, 40)))
    triples = mined(corpus, shards(1), queries, settings)
    scores = order.to_scores(flat)
    assert ((scores[:, 0] == scores[:, 29]) & (scores[:, 0] > 0)).sum() > 16  # all are blank pages
    assert triples[1]["search_used"] == "faiss"
    for number in (2, 3, 7):
        found = torch.cat(list(searcher.pooled(shards(number), queries, 30, 40)))
        assert torch.equal(found, flat)
        assert mined(corpus, shards(number), queries, settings) == triples
    everything = torch.cat(list(searcher.pooled(shards(3), queries, 400, 1_000)))
    assert torch.equal(everything, torch.cat(list(searcher.exact(shards(1), queries, 400))))
