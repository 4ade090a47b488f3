"""The shards of one corpus, addressed together; where they live is the caller's business."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from torch import Tensor

from colintern.scoring.queries import EmbeddedQueries
from colintern.search.shard import CorpusShard

T = TypeVar("T")
Answers = Callable[[], list[T]]  # waits for the answers of all shards, in their order


class Shards(Protocol):
    """All shards of a corpus: every method asks each of them for what `CorpusShard` gives."""

    def exact_best(self, queries: EmbeddedQueries, depth: int) -> Answers[Tensor]:
        """The best pages of every shard by exact MaxSim."""
        ...

    def pooled_best(self, queries: EmbeddedQueries, depth: int) -> Answers[Tensor]:
        """The best pages of every shard by pooled vectors."""
        ...

    def rescore(self, queries: EmbeddedQueries, ordinal_BC: Tensor) -> Answers[Tensor]:
        """Exact scores of chosen pages."""
        ...

    def embeddings(self, ordinals: Sequence[int]) -> Answers[dict[int, Tensor]]:
        """The embeddings of chosen pages."""
        ...

    def likeness(
        self, others: Sequence[Tensor], ordinal_N: Tensor, other_N: Tensor
    ) -> Answers[Tensor]:
        """How alike pairs of pages are."""
        ...


class LocalShards:
    """Shards in this process; they work one after the other, when the answers are waited for."""

    def __init__(self, shards: Sequence[CorpusShard]) -> None:
        self._shards = shards

    def exact_best(self, queries: EmbeddedQueries, depth: int) -> Answers[Tensor]:
        """The best pages of every shard by exact MaxSim."""
        return lambda: [shard.exact_best(queries, depth) for shard in self._shards]

    def pooled_best(self, queries: EmbeddedQueries, depth: int) -> Answers[Tensor]:
        """The best pages of every shard by pooled vectors."""
        return lambda: [shard.pooled_best(queries, depth) for shard in self._shards]

    def rescore(self, queries: EmbeddedQueries, ordinal_BC: Tensor) -> Answers[Tensor]:
        """Exact scores of chosen pages."""
        return lambda: [shard.rescore(queries, ordinal_BC) for shard in self._shards]

    def embeddings(self, ordinals: Sequence[int]) -> Answers[dict[int, Tensor]]:
        """The embeddings of chosen pages."""
        return lambda: [shard.embeddings(ordinals) for shard in self._shards]

    def likeness(
        self, others: Sequence[Tensor], ordinal_N: Tensor, other_N: Tensor
    ) -> Answers[Tensor]:
        """How alike pairs of pages are."""
        return lambda: [shard.likeness(others, ordinal_N, other_N) for shard in self._shards]
