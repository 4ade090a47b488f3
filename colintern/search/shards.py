"""The shards of one corpus, addressed together; where they live is the caller's business."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
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


def pipelined(started: Iterable[Callable[[], Any]], ahead: int = 2) -> Iterator[Any]:
    """The results of `started`, in order, with up to `ahead` of them under way."""
    waiting: deque[Callable[[], Any]] = deque()
    for pending in started:
        waiting.append(pending)
        if len(waiting) > ahead:
            yield waiting.popleft()()
    while waiting:
        yield waiting.popleft()()
