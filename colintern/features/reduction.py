"""Fewer tokens for a page: neighbours of a tile averaged, or all tokens of the page clustered.

Queries are never reduced: each of their tokens counts in a score. Shapes: P page tokens before and
after, H backbone width, R rows and C columns of tokens in a tile, N tiles.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Reduction:
    """How the tokens of a page become fewer: merged first, then clustered.

    Attributes:
        merge: `features.merge`; 1 merges nothing.
        max_tokens: `features.max_tokens_per_page`; None sets no limit.
    """

    merge: int = 1
    max_tokens: int | None = None

    def num_tokens(self, num_tiles: int, tile_tokens: tuple[int, int]) -> int:
        """Tokens of a page that are left.

        Args:
            num_tiles: of the page, with its thumbnail.
            tile_tokens: R and C.
        """
        rows, columns = (math.ceil(side / self.merge) for side in tile_tokens)
        merged = num_tiles * rows * columns
        return merged if self.max_tokens is None else min(merged, self.max_tokens)

    def reduced(self, token_PH: Tensor, tile_tokens: tuple[int, int]) -> Tensor:
        """The tokens of a page that are stored, float32; as they are when nothing is to be done."""
        token_PH = self._merged(token_PH, tile_tokens)
        if self.max_tokens is not None:
            token_PH = clustered(token_PH, self.max_tokens)
        return token_PH

    def clusters(self, token_PH: Tensor, tile_tokens: tuple[int, int]) -> np.ndarray:
        """The token of `reduced` that each token, after merging, is a part of: int64 [P]."""
        token_PH = self._merged(token_PH, tile_tokens)
        if not _is_clustered(token_PH, self.max_tokens):
            return np.arange(len(token_PH))
        return cluster_numbers(token_PH, self.max_tokens or 0)

    def _merged(self, token_PH: Tensor, tile_tokens: tuple[int, int]) -> Tensor:
        return merged(token_PH, tile_tokens, self.merge) if self.merge > 1 else token_PH


def merged(token_PH: Tensor, tile_tokens: tuple[int, int], merge: int) -> Tensor:
    """The mean of every `merge` x `merge` neighbouring tokens of a tile, row by row, in float32.

    At the edge of a tile whose side does not divide, the mean of those that are there.

    Args:
        token_PH: tile by tile, inside a tile row by row.
        tile_tokens: R and C.
        merge: how many rows, and how many columns, become one.
    """
    tile_NHRC = token_PH.float().unflatten(0, (-1, *tile_tokens)).permute(0, 3, 1, 2)
    mean_NHRC = functional.avg_pool2d(tile_NHRC, merge, ceil_mode=True)  # counts what is there
    return mean_NHRC.permute(0, 2, 3, 1).flatten(0, 2).contiguous()


def clustered(token_PH: Tensor, max_tokens: int) -> Tensor:
    """At most `max_tokens` tokens in float32: the means of clusters, by their first tokens.

    Hierarchical clustering by Ward's criterion of the L2-normalised tokens, as Clavie et al., 2024,
    "Reducing the Footprint of Multi-Vector Retrieval with Minimal Performance Impact via Token
    Pooling". The means are of the tokens as they are. Distances are computed one by one, without a
    matrix product, so that equal tokens are at distance 0 and threads change no bit. It takes time
    and memory that grow with the square of P: 0.3 s and 20 MB for 1,792 tokens of 896 numbers.

    Tokens that are not finite have no distances: the page is given back as it is.
    """
    if not _is_clustered(token_PH, max_tokens):
        return token_PH
    return cluster_means(token_PH, cluster_numbers(token_PH, max_tokens))


def cluster_means(token_PH: Tensor, cluster_P: np.ndarray) -> Tensor:
    """The mean of the tokens of each cluster, float32, in the order of their numbers."""
    number_P = torch.from_numpy(cluster_P)
    count_K = torch.bincount(number_P)
    sum_KH = torch.zeros(len(count_K), token_PH.shape[1], dtype=torch.float64)
    sum_KH.index_add_(0, number_P, token_PH.float().double())
    return (sum_KH / count_K[:, None]).float()


def cluster_numbers(token_PH: Tensor, max_tokens: int) -> np.ndarray:
    """The cluster of each of more than `max_tokens` finite tokens: int64 [P]; see `clustered`."""
    return cut_tree(cluster_tree(token_PH), len(token_PH), max_tokens)


def cluster_tree(token_PH: Tensor) -> np.ndarray:
    """How finite tokens, two at least, merge one after another; all that takes time in `clustered`.

    Returns:
        scipy's `linkage`, float64 [P - 1, 4]; `cut_tree` gives any number of clusters from it.
    """
    from scipy.cluster.hierarchy import linkage  # a third of a second, paid where it is used

    distances = torch.pdist(functional.normalize(token_PH.float(), dim=1)).double().numpy()
    return linkage(distances, "ward")


def _is_clustered(token_PH: Tensor, max_tokens: int | None) -> bool:
    return max_tokens is not None and len(token_PH) > max_tokens and bool(token_PH.isfinite().all())


def cut_tree(tree: np.ndarray, num_tokens: int, num_clusters: int) -> np.ndarray:
    """The cluster of each token, int64 [P], when all but the last merges of a tree are done.

    scipy's own `fcluster` cuts at a height, and gives fewer clusters where merges are equally high.

    Args:
        tree: of `cluster_tree`: row i merges two nodes, tokens or earlier rows, into P + i.
        num_tokens: P.
        num_clusters: how many are left, numbered by their first tokens.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    merges = tree[: num_tokens - num_clusters, :2].astype(np.int64)
    nodes = np.repeat(num_tokens + np.arange(len(merges)), 2)
    size = num_tokens + len(merges)
    edges = coo_array((np.ones(len(nodes), bool), (nodes, merges.ravel())), shape=(size, size))
    labels = connected_components(edges, directed=False)[1][:num_tokens]
    _, first, label = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[label]
