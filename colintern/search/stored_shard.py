"""A corpus of which only the pooled vectors are in memory; its features stay on storage."""

import copy
import threading

import numpy as np
import torch
from torch import Tensor

from colintern.features.store import Items
from colintern.model.heads import Heads
from colintern.scoring.packed import PackedPages, score_pairs
from colintern.scoring.queries import EmbeddedQueries
from colintern.search import order
from colintern.search.embedding import embedded
from colintern.search.pooled_index import PooledIndex, pool


class StoredShard:
    """Pages that are found by pooled vectors, then read, projected and scored exactly.

    Scores are those of `CorpusShard`, bit by bit. Beyond the index nothing is kept: a search has
    the features of some pages in memory at a time (`embedding.embedded`). Threads may share it.

    Args:
        items: the pages of a feature store.
        heads: the heads that embed them.
        pooled_DE: of `pooled_vectors`.
        device: where products are computed.
    """

    def __init__(self, items: Items, heads: Heads, pooled_DE: Tensor, device: str = "cpu") -> None:
        self._items, self._device = items, device
        self._project = copy.deepcopy(heads).to(device).exact_pages
        self._index = PooledIndex(pooled_DE)
        self._searching = threading.Lock()  # an index of FAISS on a GPU serves one thread at a time

    @property
    def num_bytes(self) -> int:
        """Memory of what is kept."""
        return self._index.num_bytes

    def pooled_best(self, queries: EmbeddedQueries, depth: int) -> Tensor:
        """The best pages by pooled vectors: key_BK of `order`."""
        with self._searching:
            return self._index.search(queries.pooled(), depth)

    def rescore(self, queries: EmbeddedQueries, ordinal_BC: Tensor) -> Tensor:
        """Exact scores of chosen pages: key_BC; a page that several queries ask for is read once.

        Args:
            queries: what is searched for.
            ordinal_BC: positions of pages.
        """
        key_BC = torch.full_like(ordinal_BC, order.NO_PAGE)
        asked, own = ordinal_BC.unique(), queries.to(self._device)
        parts = embedded(self._items, asked.numpy(), self._project, self._device)
        for first, token_TE, lengths in parts:
            part = asked[first : first + len(lengths)]
            query_N, column_N = torch.isin(ordinal_BC, part).nonzero(as_tuple=True)
            ordinal_N = ordinal_BC[query_N, column_N]
            packed = PackedPages.pack(token_TE, lengths)
            score_N = score_pairs(own, packed, query_N, torch.searchsorted(part, ordinal_N))
            key_BC[query_N, column_N] = order.to_keys(score_N.cpu(), ordinal_N)
        return key_BC


def pooled_vectors(items: Items, heads: Heads, device: str = "cpu") -> Tensor:
    """One pass over all features: the pooled vector of each page, pooled_DE float32 on the CPU."""
    pooled_DE = torch.empty(len(items), heads.dim)
    project = copy.deepcopy(heads).to(device).exact_pages
    for first, token_TE, lengths in embedded(items, np.arange(len(items)), project, device):
        pooled_DE[first : first + len(lengths)] = pool(token_TE.cpu(), lengths)
    return pooled_DE
