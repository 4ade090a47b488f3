"""Embedded queries on their way to the shards."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from colintern.features.store import Items
from colintern.model.heads import Heads
from colintern.search.embedding import embedded


@dataclass(frozen=True)
class EmbeddedQueries:
    """Query embeddings, one query after the other: token_TE float32, and each query's length."""

    token_TE: Tensor
    lengths: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.lengths)

    def slice(self, start: int, end: int) -> "EmbeddedQueries":
        """The queries from `start` up to `end`."""
        first, last = sum(self.lengths[:start]), sum(self.lengths[:end])
        return EmbeddedQueries(self.token_TE[first:last], self.lengths[start:end])

    def blocks(self, size: int) -> Iterator[tuple[int, "EmbeddedQueries"]]:
        """Blocks of `size` queries, the last one smaller, each with the place of its first."""
        for start in range(0, len(self), size):
            yield start, self.slice(start, min(start + size, len(self)))

    def pooled(self) -> Tensor:
        """The mean of each query's token embeddings, [B, E] float32."""
        sums = torch.segment_reduce(
            self.token_TE, "mean", lengths=torch.tensor(self.lengths), axis=0
        )
        return sums


def embed_queries(heads: Heads, items: Items, query_ids: Sequence[str]) -> EmbeddedQueries:
    """Project the stored features of queries."""
    lengths = tuple(items.row(query_id).num_tokens for query_id in query_ids)
    token_TE, filled = torch.empty(sum(lengths), heads.dim), 0
    for _, part_TE, _ in embedded(items, query_ids, heads.exact_queries, "cpu"):
        token_TE[filled : filled + len(part_TE)] = part_TE
        filled += len(part_TE)
    return EmbeddedQueries(token_TE, lengths)
