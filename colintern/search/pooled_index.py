"""The first stage: one pooled vector a page in a FAISS index."""

import numpy as np
import torch
from torch import Tensor

from colintern.search import order

_SLACK = 32  # asked for beyond what is wanted: mostly enough to be sure at the first try
_GPU_LIMIT = 2_048  # FAISS on GPU returns no more neighbours; more are searched on the CPU
_BATCH_BYTES = 64 * 2**20  # vectors that are scored again at one time; also what FAISS found
_FOUND_BYTES = 32  # a neighbour: FAISS's score and index, its own score, what sorting them needs
# Of numbers below 1 that are multiples of this, any sum of products is a multiple of its square and
# below 2, which 53 bits hold: float64 adds them without any rounding, in whatever order.
_STEP = 2.0**-26
_ROUNDOFF = 2.0**-24  # of float32


class PooledIndex:
    """A flat inner-product index over L2-normalised means of page embeddings.

    What is found is exact, and so does not depend on the number of shards: the pages with the best
    scores, of equal scores those with the smallest ordinals, however many are equal. FAISS only
    proposes. It adds in float32, in an order of its own, so scores are computed again, without any
    rounding but the last; and it may leave out a page that its rounding put too low, so it is asked
    for more until no page that it left out can belong to the best.

    Equal vectors, as of many blank pages, stand in the index once.

    Args:
        page_DE: one vector a page, float32, of length 1 (or 0).
        first_ordinal: that of the first page; the others follow it.
    """

    def __init__(self, page_DE: Tensor, first_ordinal: int = 0) -> None:
        import faiss  # an extra: exact search goes without

        self._num_pages = len(page_DE)
        self._vector_VE, self._ordinal_D, self._first_V, self._copies_V = _distinct(
            _on_steps(page_DE), first_ordinal
        )
        self._longest = float(self._vector_VE.double().norm(dim=1).amax())
        self._index = faiss.IndexFlatIP(page_DE.shape[1])
        self._index.add(self._vector_VE.numpy())
        has_gpu = faiss.get_num_gpus() > 0
        self._fast_index = faiss.index_cpu_to_all_gpus(self._index) if has_gpu else self._index

    @property
    def num_bytes(self) -> int:
        """Memory of the index: its own vectors, FAISS's copy of them, and which pages have them."""
        numbers = (self._ordinal_D, self._first_V, self._copies_V)
        return 2 * self._vector_VE.nbytes + sum(tensor.nbytes for tensor in numbers)

    def search(self, query_BE: Tensor, depth: int) -> Tensor:
        """The nearest pages: key_BK of `order`, best first, K = `depth` or the number of pages.

        Args:
            query_BE: float32, of length 1 at most.
            depth: how many pages, at least 1.
        """
        depth = min(depth, self._num_pages)
        query_BE = _on_steps(query_BE)
        key_BK = torch.empty(len(query_BE), depth, dtype=torch.int64)
        unsure, wanted = torch.arange(len(query_BE)), depth + _SLACK
        while len(unsure):
            wanted = min(wanted, len(self._vector_VE))
            left = []
            for row_R in unsure.split(max(1, _BATCH_BYTES // (_FOUND_BYTES * wanted))):
                key_BK[row_R], is_sure_R = self._nearest(query_BE[row_R], depth, wanted)
                left.append(row_R[~is_sure_R])
            unsure, wanted = torch.cat(left), 2 * wanted
        return key_BK

    def _nearest(self, query_BE: Tensor, depth: int, wanted: int) -> tuple[Tensor, Tensor]:
        """The best pages whose vectors are among the `wanted` nearest by FAISS.

        Returns:
            key_BK, and is_sure_B: no page of another vector can be better than those.
        """
        index = self._fast_index if wanted <= _GPU_LIMIT else self._index
        rough, found = index.search(np.ascontiguousarray(query_BE.numpy()), wanted)
        key_BK = self._pages(*self._scored(query_BE, torch.from_numpy(found)), depth)
        if wanted == len(self._vector_VE):
            return key_BK, torch.ones(len(query_BE), dtype=torch.bool)
        limit_B = torch.from_numpy(rough).amin(dim=1).double() + self._error(query_BE)
        return key_BK, limit_B.float() < order.to_scores(key_BK[:, -1])

    def _error(self, query_BE: Tensor) -> Tensor:
        """By how much FAISS's scores may be off, whatever order it adds in: error_B, float64.

        Higham, Accuracy and Stability of Numerical Algorithms (2002), section 3.1: n * u / (1 - n
        * u) times the sum of the products' sizes, and that is at most the product of the lengths.
        """
        num_roundings = query_BE.shape[1] * _ROUNDOFF
        bound = num_roundings / (1 - num_roundings) * self._longest
        flushed = query_BE.shape[1] * torch.finfo(torch.float32).tiny  # too small for float32
        return bound * query_BE.double().norm(dim=1) + flushed

    def _scored(self, query_BE: Tensor, vector_BW: Tensor) -> tuple[Tensor, Tensor]:
        """Exact scores, rounded once: score_BW float32, best first, and the vectors by them."""
        in_batch = max(1, _BATCH_BYTES // (8 * query_BE.shape[1]))
        width = min(in_batch, vector_BW.shape[1])
        rows = in_batch // width
        score_BW = torch.cat(
            [
                torch.cat([self._products(query, part) for part in vector.split(width, 1)], 1)
                for query, vector in zip(query_BE.split(rows), vector_BW.split(rows), strict=True)
            ]
        )
        score_BW, by = score_BW.float().sort(dim=1, descending=True)
        return score_BW, vector_BW.gather(1, by)

    def _products(self, query_BE: Tensor, vector_BW: Tensor) -> Tensor:
        vector_BWE = self._vector_VE[vector_BW].double()
        return torch.einsum("be,bwe->bw", query_BE.double(), vector_BWE)

    def _pages(self, score_BW: Tensor, vector_BW: Tensor, depth: int) -> Tensor:
        """The best `depth` pages of these vectors, which are sorted by score: key_BK."""
        copies_BW = self._copies_V[vector_BW].clamp(max=depth)  # no more of one vector can be taken
        last_B = (copies_BW.cumsum(1) >= depth).int().argmax(dim=1, keepdim=True)
        is_used_BW = score_BW >= score_BW.gather(1, last_B)  # all that tie with the last one, too
        copies_N, score_N = copies_BW[is_used_BW], score_BW[is_used_BW]
        before_N = copies_N.cumsum(0) - copies_N
        copy_X = torch.arange(int(copies_N.sum())) - before_N.repeat_interleave(copies_N)
        first_X = self._first_V[vector_BW[is_used_BW]].repeat_interleave(copies_N)
        key_X = order.to_keys(
            score_N.repeat_interleave(copies_N), self._ordinal_D[first_X + copy_X]
        )
        rows = list(key_X.split((copies_BW * is_used_BW).sum(dim=1).tolist()))
        key_BX = torch.nn.utils.rnn.pad_sequence(
            rows, batch_first=True, padding_value=order.NO_PAGE
        )
        return order.best(key_BX, depth)


def index_bytes(num_pages: int, dim: int) -> int:
    """What an index of so many pages takes at most; pages with equal vectors take less."""
    return num_pages * (2 * 4 * dim + 3 * 8)


def pool(token_TE: Tensor, lengths: list[int]) -> Tensor:
    """The L2-normalised mean of each page's token embeddings, [D, E] float32."""
    mean_DE = torch.segment_reduce(token_TE, "mean", lengths=torch.tensor(lengths), axis=0)
    return torch.nn.functional.normalize(mean_DE, dim=1, eps=1e-12)


def _on_steps(vector_DE: Tensor) -> Tensor:
    """The same vectors with every number a multiple of `_STEP`; float32 holds them exactly."""
    return (vector_DE / _STEP).round() * _STEP + 0.0  # + 0.0: -0.0 is 0.0


def _distinct(page_DE: Tensor, first_ordinal: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The distinct vectors, and the pages of each.

    Returns:
        vector_VE; ordinal_D: those of the pages of the first vector in order, then those of the
        second, ...; first_V: where in it the pages of a vector begin; copies_V: how many they are.
    """
    row = np.dtype((np.void, 4 * page_DE.shape[1]))
    page_D = np.ascontiguousarray(page_DE.numpy()).view(row).ravel()
    _, first, vector_D, copies = np.unique(
        page_D, return_index=True, return_inverse=True, return_counts=True
    )
    copies_V = torch.from_numpy(copies)
    ordinal_D = torch.from_numpy(vector_D.argsort(kind="stable")) + first_ordinal
    return page_DE[torch.from_numpy(first)], ordinal_D, copies_V.cumsum(0) - copies_V, copies_V
