"""One worker's part of a corpus: its page embeddings, and its own FAISS index."""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from colintern.features.store import Items
from colintern.model.heads import Heads
from colintern.scoring.packed import PackedPages, score_pages, score_pairs
from colintern.scoring.queries import EmbeddedQueries
from colintern.search import order
from colintern.search.embedding import embedded
from colintern.search.pooled_index import PooledIndex, pool

_RESULT_BYTES = 128 * 2**20  # scores and keys of one query block against the whole shard
_LIKENESS_BYTES = 64 * 2**20  # embeddings of the pages that are compared with others at one time


def exact_best(
    pages: PackedPages, queries: EmbeddedQueries, depth: int, ordinal_D: Tensor
) -> Tensor:
    """The best of some pages by MaxSim with each of them.

    Args:
        pages: embedded, by whatever model; products are computed on their device.
        queries: embedded by the same model.
        depth: how many pages.
        ordinal_D: int64, of the pages, in any order.

    Returns:
        key_BK of `order`, on the CPU.
    """
    device = pages.token_SLE.device
    ordinal_D = ordinal_D.to(device)
    block = max(1, _RESULT_BYTES // (12 * max(1, pages.num_pages)))
    found = [torch.empty(0, depth, dtype=torch.int64)]
    for _, part in queries.blocks(block):
        score_BD = score_pages(part.to(str(device)), pages)
        found.append(order.best(order.to_keys(score_BD, ordinal_D), depth).cpu())
    return torch.cat(found)


class CorpusShard:
    """Pages of a corpus, ready to be searched.

    Args:
        items: the pages of a feature store, or some of them.
        heads: the heads that embed them.
        positions: where in `items` the pages of the shard are.
        start: the ordinal of the first one; the others follow it.
        device: where products are computed and ordered; results come back to the CPU.
    """

    def __init__(
        self,
        items: Items,
        heads: Heads,
        positions: NDArray[np.int64],
        start: int = 0,
        device: str = "cpu",
    ) -> None:
        self._start, self._end, self._device = start, start + len(positions), device
        self._lengths = items.num_tokens[positions]
        self._packed = PackedPages.empty(self._lengths.tolist(), heads.dim, torch.device(device))
        self._pooled_DE = torch.empty(len(positions), heads.dim)
        project = copy.deepcopy(heads).to(device).exact_pages
        for first, token_TE, lengths in embedded(items, positions, project, device):
            self._packed.put(first, token_TE, lengths)
            self._pooled_DE[first : first + len(lengths)] = pool(token_TE.cpu(), lengths)
        self._index: PooledIndex | None = None

    def exact_best(self, queries: EmbeddedQueries, depth: int) -> Tensor:
        """The best pages of the shard by exact MaxSim: key_BK of `order`."""
        ordinal_D = torch.arange(self._start, self._end)
        return exact_best(self._packed, queries, depth, ordinal_D)

    def pooled_best(self, queries: EmbeddedQueries, depth: int) -> Tensor:
        """The best pages of the shard by pooled vectors: key_BK of `order`."""
        if not len(self._lengths):  # no page of the corpus has features
            return torch.empty(len(queries), 0, dtype=torch.int64)
        if self._index is None:
            self._index = PooledIndex(self._pooled_DE, self._start)
        return self._index.search(queries.pooled(), depth)

    def rescore(self, queries: EmbeddedQueries, ordinal_BC: Tensor) -> Tensor:
        """Exact scores of chosen pages: key_BC, `NO_PAGE` for those of other shards (and -1)."""
        is_mine = (ordinal_BC >= self._start) & (ordinal_BC < self._end)
        query_N, column_N = is_mine.nonzero(as_tuple=True)
        ordinal_N = ordinal_BC[query_N, column_N]
        score_N = score_pairs(
            queries.to(self._device), self._packed, query_N, ordinal_N - self._start
        ).cpu()
        key_BC = torch.full_like(ordinal_BC, order.NO_PAGE)
        key_BC[query_N, column_N] = order.to_keys(score_N, ordinal_N)
        return key_BC

    def embeddings(self, ordinals: Sequence[int]) -> dict[int, Tensor]:
        """Those of `ordinals` that are in this shard, with their embeddings token_TE."""
        mine = (ordinal for ordinal in ordinals if self._start <= ordinal < self._end)
        # Copies: a view of the shard would take all of it along to where it is sent.
        return {ordinal: self._tokens(ordinal - self._start).clone().cpu() for ordinal in mine}

    def likeness(self, others: Sequence[Tensor], ordinal_N: Tensor, other_N: Tensor) -> Tensor:
        """MaxSim of pages of the shard with other pages, by the own tokens of the shard's.

        Args:
            others: the embeddings token_TE of the other pages.
            ordinal_N: one page of each pair.
            other_N: the other one, as its index in `others`.

        Returns:
            score_N, float32: the mean over the page's tokens of the best dot product with the other
            page's tokens; -inf for pages of other shards.
        """
        score_N = torch.full(ordinal_N.shape, -torch.inf)
        is_mine = (ordinal_N >= self._start) & (ordinal_N < self._end)
        if not is_mine.any():
            return score_N
        token_TE = torch.cat(list(others)).to(self._device)
        packed = PackedPages.pack(token_TE, [len(other) for other in others])
        pages, page_N = (ordinal_N[is_mine] - self._start).unique(return_inverse=True)
        by_page, pair = page_N.argsort(stable=True), is_mine.nonzero()[:, 0]
        first = 0
        for part in self._packed.parts(pages, _LIKENESS_BYTES):
            own = by_page[(page_N[by_page] >= first) & (page_N[by_page] < first + len(part))]
            tokens = [self._tokens(page) for page in part.tolist()]
            asking = EmbeddedQueries(torch.cat(tokens), tuple(map(len, tokens)))
            score_N[pair[own]] = score_pairs(
                asking, packed, page_N[own] - first, other_N[pair[own]]
            ).cpu()
            first += len(part)
        return score_N

    def _tokens(self, page: int) -> Tensor:
        """The embeddings token_TE of the page with this index in the shard."""
        return self._packed.tokens(page, int(self._lengths[page]))


def shard_bounds(lengths: NDArray[np.int32], num_shards: int) -> list[tuple[int, int]]:
    """Cut a corpus of pages with `lengths` tokens into runs of about equal tokens, none empty."""
    num_shards = max(1, min(num_shards, len(lengths)))
    ends = np.cumsum(lengths, dtype=np.int64)
    cuts = [0]
    for number in range(1, num_shards):
        share = int(ends[-1]) * number // num_shards
        cut = int(np.searchsorted(ends, share, side="right"))
        cuts.append(min(max(cut, cuts[-1] + 1), len(lengths) - num_shards + number))
    return list(zip(cuts, [*cuts[1:], len(lengths)], strict=True))
