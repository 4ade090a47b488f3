"""The shards of one corpus, addressed together; where they live is the caller's business."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from colintern.search.shard import CorpusShard


class Shards(Protocol):
    """All shards of a corpus."""

    def start(self, method: str, *arguments: Any) -> Callable[[], list[Any]]:
        """Call `method` of every shard; the result waits for their answers, in shard order."""
        ...


class LocalShards:
    """Shards in this process."""

    def __init__(self, shards: Sequence[CorpusShard]) -> None:
        self._shards = shards

    def start(self, method: str, *arguments: Any) -> Callable[[], list[Any]]:
        """Call `method` of every shard, one after the other, when the result is asked for."""
        return lambda: [getattr(shard, method)(*arguments) for shard in self._shards]
