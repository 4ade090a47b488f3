"""The pages that a retriever searches: all embeddings in memory, or no more than pooled vectors.

What is kept decides how a search is done, not what a page scores: scores are the same bits.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from colintern import log
from colintern.errors import UserError
from colintern.evaluation.evaluate import RERANKED
from colintern.features.cache import Key, NodeCache, node_cache
from colintern.features.store import FeatureStore
from colintern.log import size_text
from colintern.model.heads import heads_sha256
from colintern.retrieval.finished import FinishedRun
from colintern.scoring.queries import EmbeddedQueries
from colintern.search import order
from colintern.search.pooled_index import index_bytes
from colintern.search.shard import CorpusShard, shard_bytes
from colintern.search.stored_shard import StoredShard, pooled_vectors

_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True)
class HeldCorpus:
    """All embeddings are in memory, and every page is scored."""

    shard: CorpusShard
    method = "exact"  # as `evaluation.search` calls it

    @property
    def told(self) -> str:
        """What is kept, for people."""
        return f"exact search, {size_text(self.shard.num_bytes)} of embeddings in memory"

    def best(self, queries: EmbeddedQueries, depth: int) -> Tensor:
        """The best pages of each query: key_BK of `order`."""
        return self.shard.exact_best(queries, depth)


@dataclass(frozen=True)
class PooledCorpus:
    """Pooled vectors are in memory; the candidates that they give are read, and scored exactly.

    Attributes:
        shard: the pages.
        all_bytes: what an exact search would keep.
    """

    shard: StoredShard
    all_bytes: int
    method = "pooled_rerank"  # as `evaluation.search` calls it; it has as many candidates

    @property
    def told(self) -> str:
        """What is kept, and what it costs, for people."""
        return (
            f"{RERANKED} candidates a query, read from the store and scored exactly; "
            f"{size_text(self.shard.num_bytes)} of pooled vectors in memory (exact search would "
            f"take {size_text(self.all_bytes)})"
        )

    def best(self, queries: EmbeddedQueries, depth: int) -> Tensor:
        """The best of the candidates of each query: key_BK of `order`."""
        candidates = self.shard.pooled_best(queries, max(depth, RERANKED))
        return order.best(self.shard.rescore(queries, order.to_ordinals(candidates)), depth)


def open_corpus(
    run: FinishedRun, store: FeatureStore, memory: int, device: str
) -> HeldCorpus | PooledCorpus:
    """Make the pages of a store ready to be searched.

    Args:
        run: whose heads embed them.
        store: their features.
        memory: bytes that what is kept may take. Where all embeddings are more, pooled vectors are
            kept: see `index_bytes`. While these are made ready, they stand in memory up to five
            times.
        device: where products are computed.

    Raises:
        UserError: not even the pooled vectors fit, or FAISS, which searches them, is missing.
    """
    if not must_pool(run, store, memory):
        every = np.arange(len(store.pages))
        return HeldCorpus(CorpusShard(store.pages, run.heads, every, device=device))
    pooled_DE = _pooled(run, store, device)
    shard = StoredShard(store.pages, run.heads, pooled_DE, device)
    return PooledCorpus(shard, shard_bytes(store.pages.num_tokens, run.heads.dim))


def must_pool(run: FinishedRun, store: FeatureStore, memory: int) -> bool:
    """Whether no more than pooled vectors can be kept; arguments as of `open_corpus`.

    Raises:
        UserError: not even those fit, or FAISS, which searches them, is missing.
    """
    num_pages, dim = len(store.pages), run.heads.dim
    all_bytes, pooled_bytes = shard_bytes(store.pages.num_tokens, dim), index_bytes(num_pages, dim)
    if all_bytes <= memory or not num_pages:
        return False
    if pooled_bytes > memory:
        raise UserError(
            f"memory of {size_text(memory)}: the embeddings of {num_pages:,} pages take "
            f"{size_text(all_bytes)}, their pooled vectors {size_text(pooled_bytes)}; "
            "allow at least as much as the latter"
        )
    if importlib.util.find_spec("faiss") is None:
        raise UserError(
            f"memory of {size_text(memory)}: all embeddings take {size_text(all_bytes)}, and to "
            "search pooled vectors the package faiss is needed: pip install 'colintern[cpu]'"
        )
    return True


def _pooled(run: FinishedRun, store: FeatureStore, device: str) -> Tensor:
    """pooled_DE, from the cache of this machine if they were made before."""
    cache = node_cache(run.config.features.cache_bytes)
    heads = heads_sha256(run.folder.heads(run.round_number))
    key = Key(store.path, store.manifests["pages"], f"pooled on {device} by {heads}")
    found = _cached(cache, key) if cache else None
    if found is not None:
        return torch.from_numpy(found.view(np.float32)).reshape(-1, run.heads.dim)
    num_bytes = int(store.pages.num_tokens.sum()) * run.codec.bytes_per_token
    log.say(
        "retriever",
        "reading %s of features once, to pool them%s",
        size_text(num_bytes),
        "" if cache else " (at every opening, as features.cache_bytes is 0)",
    )
    pooled_DE = pooled_vectors(store.pages, run.heads, device)
    if cache:
        data = pooled_DE.numpy().tobytes()
        cache.put(key, hashlib.sha256(data).digest() + data)
    return pooled_DE


def _cached(cache: NodeCache, key: Key) -> np.ndarray | None:
    """The bytes of an entry, after a check that they are those that were written."""
    found = cache.get(key)
    if found is None:
        return None
    digest, data = found[:_DIGEST_BYTES], found[_DIGEST_BYTES:]
    if hashlib.sha256(data.data).digest() == digest.tobytes():
        return data
    cache.drop(key)
    return None
