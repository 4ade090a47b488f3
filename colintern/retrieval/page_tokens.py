"""The vectors of one page that are left when it may have only so many (`--tokens`).

Shapes: P tokens of a page, K of them that are left, N numbers of a vector.
"""

from functools import cached_property

import numpy as np
from torch import Tensor
from torch.nn import functional

from colintern.features.reduction import cluster_means, cluster_tree, cut_tree


class PageTokens:
    """The embeddings of a page, from which fewer vectors are made, for several limits if asked.

    Args:
        token_PN: float32, of length 1, on the CPU.
    """

    def __init__(self, token_PN: Tensor) -> None:
        self._token_PN = token_PN

    def at_most(self, limit: int | None) -> tuple[Tensor, np.ndarray]:
        """At most `limit` vectors; None keeps all.

        Returns:
            vector_KN, float32, of length 1: the means of clusters of tokens that are alike, see
            `features.reduction.clustered`; and the cluster of each token, int64 [P].
        """
        num_tokens = len(self._token_PN)
        if limit is None or num_tokens <= limit:
            return self._token_PN, np.arange(num_tokens)
        cluster_P = cut_tree(self._tree, num_tokens, limit)
        mean_KN = cluster_means(self._token_PN, cluster_P)
        return functional.normalize(mean_KN, dim=1, eps=1e-12), cluster_P

    @cached_property
    def _tree(self) -> np.ndarray:
        """All that takes time: the same for every limit."""
        return cluster_tree(self._token_PN)
