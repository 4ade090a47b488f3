"""Sharded search equals flat search, exact and by pooled candidates."""

from itertools import pairwise

import faiss
import numpy as np
import pytest
import torch

from colintern.config.schema import HeadsConfig
from colintern.features.store import FeatureStore
from colintern.model.heads import init_heads
from colintern.search import embedding, order, pooled_index, searcher
from colintern.search.embedding import embed_queries
from colintern.search.shard import CorpusShard, shard_bounds
from colintern.search.shards import LocalShards
from tests.helpers import WIDTH


@pytest.fixture
def world(corpus):
    store = FeatureStore(corpus.store)
    heads = init_heads(HeadsConfig(dim=16), WIDTH, seed=3)
    queries = embed_queries(heads, store.queries, np.arange(len(store.queries)))
    page_ids = store.pages.ids.to_pylist()

    def shards(number: int, device: str = "cpu") -> LocalShards:
        lengths = store.pages.num_tokens.tolist()
        return LocalShards(
            [
                CorpusShard(store.pages, heads, np.arange(start, end), start, device)
                for start, end in shard_bounds(lengths, number)
            ]
        )

    return shards, queries, page_ids


@pytest.mark.parametrize("number", [2, 3, 7, 40])
def test_sharded_equals_flat(world, number):
    """Ids, scores or order that depend on the number of shards (property 6)."""
    shards, queries, page_ids = world
    flat = torch.cat(list(searcher.exact(shards(1), queries, 15)))
    assert torch.equal(torch.cat(list(searcher.exact(shards(number), queries, 15))), flat)
    pooled = torch.cat(list(searcher.pooled(shards(1), queries, 5, 10)))
    assert torch.equal(torch.cat(list(searcher.pooled(shards(number), queries, 5, 10))), pooled)
    assert len(page_ids) == 40


def test_the_same_image_under_two_ids_scores_the_same(world):
    """Pages p000 and p001 are one image: equal scores, the smaller id first."""
    shards, queries, _ = world
    keys = torch.cat(list(searcher.exact(shards(3), queries, 40)))
    for row in keys:
        ordinals = order.to_ordinals(row).tolist()
        first, second = ordinals.index(0), ordinals.index(1)
        assert second == first + 1
        assert order.to_scores(row)[first] == order.to_scores(row)[second]


def test_all_candidates_give_the_exact_search(world):
    """Pooled search whose rescoring differs from exact scores."""
    shards, queries, page_ids = world
    exact = torch.cat(list(searcher.exact(shards(2), queries, 20)))
    found = torch.cat(list(searcher.pooled(shards(3), queries, 20, len(page_ids))))
    assert torch.equal(found, exact)
    assert searcher.recall(found, exact) == 1.0
    fewer = torch.cat(list(searcher.pooled(shards(2), queries, 20, 20)))
    assert searcher.recall(fewer, exact) < 1.0


class _GpuIndex:
    """What FAISS puts on a GPU: an index that returns no more than some neighbours."""

    used = False

    def __init__(self, index: faiss.IndexFlatIP) -> None:
        self._index = index

    def search(self, query_BE, wanted: int):
        assert wanted <= pooled_index._GPU_LIMIT
        _GpuIndex.used = True
        return self._index.search(query_BE, wanted)


@pytest.mark.parametrize(("candidates", "on_gpu"), [(10, True), (30, False)])
def test_more_candidates_than_a_gpu_returns(world, monkeypatch, candidates, on_gpu):
    """Fewer candidates than asked for from one shard, and as many from each of several."""
    shards, queries, _ = world
    wanted = torch.cat(list(searcher.pooled(shards(1), queries, 10, candidates)))
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", _GpuIndex, raising=False)
    monkeypatch.setattr(pooled_index, "_GPU_LIMIT", 18)
    monkeypatch.setattr(pooled_index, "_SLACK", 8)
    monkeypatch.setattr(_GpuIndex, "used", False)
    for number in (1, 2):
        found = torch.cat(list(searcher.pooled(shards(number), queries, 10, candidates)))
        assert torch.equal(found, wanted)
    assert _GpuIndex.used == on_gpu


def test_a_shard_needs_no_page_but_its_own(corpus, world):
    """Each search worker with the ids and hashes of the whole corpus."""
    shards, queries, _ = world
    heads = init_heads(HeadsConfig(dim=16), WIDTH, seed=3)
    parts = []
    for start in range(0, 40, 10):
        own = FeatureStore(corpus.store, None, np.arange(start, start + 10)).pages
        assert len(own) == 10
        parts.append(CorpusShard(own, heads, np.arange(10), start))
    found = torch.cat(list(searcher.exact(LocalShards(parts), queries, 40)))
    assert torch.equal(found, torch.cat(list(searcher.exact(shards(1), queries, 40))))


@pytest.mark.parametrize("max_tokens", [1, 17])
def test_embeddings_do_not_depend_on_their_batches(world, monkeypatch, max_tokens):
    """All features projected at one time, or a page put in the place of another."""
    shards, queries, _ = world
    flat = torch.cat(list(searcher.exact(shards(1), queries, 40)))
    pooled = torch.cat(list(searcher.pooled(shards(1), queries, 5, 10)))
    monkeypatch.setattr(embedding, "_TOKENS", max_tokens)
    again = torch.cat(list(searcher.exact(shards(2), queries, 40)))
    assert torch.equal(again, flat)
    assert torch.equal(torch.cat(list(searcher.pooled(shards(2), queries, 5, 10))), pooled)


def test_queries_are_projected_in_batches(corpus, monkeypatch):
    """The features of all queries in memory at one time."""
    store, heads = FeatureStore(corpus.store), init_heads(HeadsConfig(dim=16), WIDTH, seed=3)
    queries = np.arange(len(store.queries))
    whole = embed_queries(heads, store.queries, queries)
    read, sizes = store.queries.read, []
    monkeypatch.setattr(embedding, "_TOKENS", 17)
    monkeypatch.setattr(store.queries, "read", lambda ids: sizes.append(len(ids)) or read(ids))
    found = embed_queries(heads, store.queries, queries)
    assert torch.equal(found.token_TE, whole.token_TE)
    assert found.lengths == whole.lengths
    assert sizes == [4] * 15  # 60 queries of 4 tokens


def test_bounds_cover_the_corpus_evenly():
    """A page lost between shards, an empty shard, or all the work in one of them."""
    for lengths, number in (([5] * 10, 3), ([1, 1, 100, 1], 2), ([7], 4), ([9, 1, 1, 1], 4)):
        bounds = shard_bounds(np.array(lengths), number)
        assert bounds[0][0] == 0
        assert bounds[-1][1] == len(lengths)
        assert all(end == start for (_, end), (start, _) in pairwise(bounds))
        assert all(start < end for start, end in bounds)
    assert [end - start for start, end in shard_bounds(np.full(12, 5), 3)] == [4, 4, 4]


@pytest.mark.gpu
def test_a_corpus_on_a_gpu_finds_the_same_pages(world):
    """FAISS on a GPU that loses pages, tensors left on the wrong device, or scores by shard."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    shards, queries, page_ids = world
    everything = len(page_ids)

    def found(corpus: LocalShards) -> list[torch.Tensor]:
        searches = (
            searcher.exact(corpus, queries, everything),
            searcher.pooled(corpus, queries, 5, 10),
            searcher.pooled(corpus, queries, 5, everything),
        )
        return [torch.cat(list(keys)) for keys in searches]

    flat = found(shards(1, "cuda"))
    for sharded, whole in zip(found(shards(3, "cuda")), flat, strict=True):
        assert torch.equal(sharded, whole)
    assert torch.equal(flat[2], flat[0][:, :5])
    wanted = found(shards(1))[0]
    there, here = (_by_page(keys) for keys in (flat[0], wanted))
    torch.testing.assert_close(there, here, atol=1e-4, rtol=1e-4)


def _by_page(key_BD: torch.Tensor) -> torch.Tensor:
    """The scores of all pages in the order of their ids."""
    return order.to_scores(key_BD).gather(1, order.to_ordinals(key_BD).argsort(dim=1))
