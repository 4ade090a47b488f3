"""The first stage: one pooled vector a page in a FAISS index."""

import numpy as np
import torch
from torch import Tensor

# More than asked for, so that a page at the end of a list is not lost to a rounding in FAISS.
_SLACK = 8
_GPU_LIMIT = 2_048  # FAISS on GPU returns no more neighbours; more are searched on the CPU
_GATHERED_BYTES = 64 * 2**20  # vectors that are scored again at one time, in float64


class PooledIndex:
    """A flat inner-product index over L2-normalised means of page embeddings.

    FAISS chooses the pages; their pooled scores are then computed again in float64, so that they
    do not depend on how FAISS blocks its products, and so not on the number of shards.
    """

    def __init__(self, page_DE: Tensor) -> None:
        import faiss  # an extra: exact search goes without

        self._page_DE = page_DE
        self._index = faiss.IndexFlatIP(page_DE.shape[1])
        self._index.add(np.ascontiguousarray(page_DE.numpy()))
        has_gpu = faiss.get_num_gpus() > 0
        self._fast_index = faiss.index_cpu_to_all_gpus(self._index) if has_gpu else self._index

    def search(self, query_BE: Tensor, depth: int) -> tuple[Tensor, Tensor]:
        """The nearest pages.

        Returns:
            score_BC float32 and the pages' places in the index, int64, with C >= `depth` unless
            the index is smaller; in no particular order.
        """
        wanted = min(depth + _SLACK, len(self._page_DE))
        index = self._fast_index if wanted <= _GPU_LIMIT else self._index
        _, found_BC = index.search(np.ascontiguousarray(query_BE.numpy()), wanted)
        place_BC = torch.from_numpy(found_BC)
        rows = max(1, _GATHERED_BYTES // (8 * wanted * query_BE.shape[1]))
        score_BC = [
            torch.einsum("be,bce->bc", query.double(), self._page_DE[place].double())
            for query, place in zip(query_BE.split(rows), place_BC.split(rows), strict=True)
        ]
        return torch.cat(score_BC).float(), place_BC


def pool(token_TE: Tensor, lengths: list[int]) -> Tensor:
    """The L2-normalised mean of each page's token embeddings, [D, E] float32."""
    mean_DE = torch.segment_reduce(token_TE, "mean", lengths=torch.tensor(lengths), axis=0)
    return torch.nn.functional.normalize(mean_DE, dim=1, eps=1e-12)
