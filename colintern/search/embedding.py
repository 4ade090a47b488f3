"""Stored features on their way to embeddings, so many at a time that memory does not grow."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from colintern.features.store import Items
from colintern.model.heads import Heads
from colintern.scoring.queries import EmbeddedQueries
from colintern.streams import packed

_TOKENS = 65_536  # features that are projected at one time: 1 GiB of float32 at a width of 4,096


def embedded(
    items: Items, positions: NDArray[np.int64], project: Callable[[Tensor], Tensor], device: str
) -> Iterator[tuple[int, Tensor, list[int]]]:
    """Read and project the features of pages or queries in batches, one item at least.

    Args:
        items: the pages or the queries of a feature store.
        positions: which of them.
        project: `exact_pages` or `exact_queries` of heads that are on `device`.
        device: where features are projected.

    Yields:
        The index in `positions` of a batch's first item, token_TE of its items, one after the
        other, on `device`, and the number of tokens of each.
    """
    sizes = items.num_tokens[positions]
    for batch in packed(range(len(sizes)), lambda row: int(sizes[row]), _TOKENS):
        tokens, lengths = items.read(positions[batch[0] : batch[-1] + 1])
        yield batch[0], project(tokens.decoded(device)), lengths


def embed_queries(heads: Heads, items: Items, positions: NDArray[np.int64]) -> EmbeddedQueries:
    """Project the stored features of the queries at some positions of a store."""
    lengths = tuple(items.num_tokens[positions].tolist())
    token_TE, filled = torch.empty(sum(lengths), heads.dim), 0
    for _, part_TE, _ in embedded(items, positions, heads.exact_queries, "cpu"):
        token_TE[filled : filled + len(part_TE)] = part_TE
        filled += len(part_TE)
    return EmbeddedQueries(token_TE, lengths)
