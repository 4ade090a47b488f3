"""Query embeddings for search: queries of different lengths, one after another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class EmbeddedQueries:
    """The embeddings of several queries.

    Attributes:
        token_TE: all tokens, query after query, float32, L2-normalised.
        lengths: tokens of each query.
    """

    token_TE: Tensor
    lengths: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.lengths)

    def to(self, device: str) -> "EmbeddedQueries":
        """The same on another device."""
        return replace(self, token_TE=self.token_TE.to(device))

    def between(self, start: int, end: int) -> "EmbeddedQueries":
        """The queries from `start` up to, but not including, `end`."""
        first, last = sum(self.lengths[:start]), sum(self.lengths[:end])
        return EmbeddedQueries(self.token_TE[first:last], self.lengths[start:end])

    def take(self, rows: Sequence[int]) -> "EmbeddedQueries":
        """Some of the queries, by their indices."""
        parts = [self.between(row, row + 1) for row in rows]
        tokens = [self.token_TE[:0], *(part.token_TE for part in parts)]
        return EmbeddedQueries(torch.cat(tokens), tuple(self.lengths[row] for row in rows))

    def blocks(self, size: int) -> Iterator[tuple[int, "EmbeddedQueries"]]:
        """Blocks of `size` queries (the last may be smaller), each with the index of its first."""
        first = 0
        for start in range(0, len(self), size):
            lengths = self.lengths[start : start + size]
            last = first + sum(lengths)
            yield start, EmbeddedQueries(self.token_TE[first:last], lengths)
            first = last

    def waves(self, max_tokens: int) -> Iterator[tuple[slice, "EmbeddedQueries"]]:
        """Groups of whole queries with at most `max_tokens` tokens, but at least one query."""
        first, token, tokens = 0, 0, 0
        for index, length in enumerate((*self.lengths, max_tokens + 1)):
            if tokens and tokens + length > max_tokens:
                own = self.token_TE[token : token + tokens]
                yield slice(first, index), EmbeddedQueries(own, self.lengths[first:index])
                first, token, tokens = index, token + tokens, 0
            tokens += length

    def pooled(self) -> Tensor:
        """The mean of each query's token embeddings, [B, E] float32."""
        lengths = torch.tensor(self.lengths)
        return torch.segment_reduce(self.token_TE, "mean", lengths=lengths, axis=0)
