"""Stored features on their way to embeddings, so many at a time that memory does not grow."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from colintern.features.store import Items
from colintern.model.heads import Heads
from colintern.scoring.queries import EmbeddedQueries

_TOKENS = 65_536  # features that are projected at one time: 1 GiB of float32 at a width of 4,096


def embedded(
    items: Items, item_ids: Sequence[str], project: Callable[[Tensor], Tensor], device: str
) -> Iterator[tuple[int, Tensor, list[int]]]:
    """Read and project the features of pages or queries in batches, one item at least.

    Args:
        items: the pages or the queries of a feature store.
        item_ids: which of them.
        project: `exact_pages` or `exact_queries` of heads that are on `device`.
        device: where features are projected.

    Yields:
        The place of a batch's first item, token_TE of its items, one after the other, on `device`,
        and the number of tokens of each.
    """
    positions = items.find(item_ids)
    lengths = items.num_tokens[positions].tolist()
    first = 0
    while first < len(item_ids):
        last = _end_of_batch(lengths, first)
        token_TH, own_lengths = items.read(positions[first:last])
        yield first, project(token_TH.to(device).float()), own_lengths
        first = last


def embed_queries(heads: Heads, items: Items, query_ids: Sequence[str]) -> EmbeddedQueries:
    """Project the stored features of queries."""
    lengths = tuple(items.num_tokens[items.find(query_ids)].tolist())
    token_TE, filled = torch.empty(sum(lengths), heads.dim), 0
    for _, part_TE, _ in embedded(items, query_ids, heads.exact_queries, "cpu"):
        token_TE[filled : filled + len(part_TE)] = part_TE
        filled += len(part_TE)
    return EmbeddedQueries(token_TE, lengths)


def _end_of_batch(lengths: Sequence[int], first: int) -> int:
    """The end of the run from `first` that holds about `_TOKENS`, at least one item."""
    last, tokens = first + 1, lengths[first]
    while last < len(lengths) and tokens + lengths[last] <= _TOKENS:
        tokens += lengths[last]
        last += 1
    return last
