"""Search with no more than pooled vectors in memory gives the scores of exact search."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
import torch

from colintern.config.schema import HeadsConfig
from colintern.features.store import FeatureStore
from colintern.model.heads import init_heads
from colintern.search import embedding, order
from colintern.search.embedding import embed_queries
from colintern.search.pooled_index import index_bytes
from colintern.search.shard import CorpusShard, shard_bytes
from colintern.search.stored_shard import StoredShard, pooled_vectors
from tests.helpers import WIDTH


@pytest.fixture
def world(corpus):
    """A shard in memory, one on storage, and queries."""
    store = FeatureStore(corpus.store)
    heads = init_heads(HeadsConfig(dim=16), WIDTH, seed=3)
    queries = embed_queries(heads, store.queries, np.arange(len(store.queries)))
    held = CorpusShard(store.pages, heads, np.arange(len(store.pages)))
    stored = StoredShard(store.pages, heads, pooled_vectors(store.pages, heads))
    return store, held, stored, queries


@pytest.mark.parametrize("tokens_at_once", [100, 65_536])
def test_candidates_have_the_scores_of_exact_search(world, monkeypatch, tokens_at_once):
    """A last bit that depends on what was read together: another order than the evaluation's."""
    _, held, stored, queries = world
    monkeypatch.setattr(embedding, "_TOKENS", tokens_at_once)
    candidates = stored.pooled_best(queries, 9)
    assert torch.equal(candidates, held.pooled_best(queries, 9))
    chosen = order.to_ordinals(candidates)
    assert torch.equal(stored.rescore(queries, chosen), held.rescore(queries, chosen))
    exact = held.exact_best(queries, 40)
    every = torch.arange(40).repeat(len(queries), 1)
    assert torch.equal(order.best(stored.rescore(queries, every), 40), exact)


def test_a_page_that_several_queries_ask_for_is_read_once(world, monkeypatch):
    """As many reads of a popular page as queries."""
    store, _, stored, queries = world
    read: list[int] = []
    original = type(store.pages).read

    def recording(items, positions):
        read.extend(np.asarray(positions).tolist())
        return original(items, positions)

    monkeypatch.setattr(type(store.pages), "read", recording)
    stored.rescore(queries, torch.tensor([[3, 7, 11]] * len(queries)))
    assert read == [3, 7, 11]


def test_threads_take_turns_at_the_index(world):
    """An index of FAISS on a GPU, which two threads at once make give wrong pages."""
    *_, stored, queries = world
    met, meeting = [], threading.Barrier(2)

    class Index:
        def search(self, query_BE: torch.Tensor, depth: int) -> torch.Tensor:
            with suppress(threading.BrokenBarrierError):  # nobody else came
                meeting.wait(timeout=0.2)
                met.append(1)
            return torch.empty(len(query_BE), depth, dtype=torch.int64)

    stored._index = Index()  # pyright: ignore[reportAttributeAccessIssue]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: stored.pooled_best(queries, 3), range(2)))
    assert not met


def test_what_is_kept_is_what_was_reckoned(world):
    """A bound on memory that the sizes it is compared with do not keep."""
    store, held, stored, _ = world
    assert held.num_bytes == shard_bytes(store.pages.num_tokens, 16)
    # Two pages are one picture, whose vector stands in the index once.
    assert stored.num_bytes == index_bytes(40, 16) - (2 * 16 * 4 + 2 * 8)
