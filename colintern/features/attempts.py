"""What is known of processes that died while they encoded a shard, and what follows from it.

A process that dies tells nothing. So whoever begins a shard, or tries a page alone, says so before
and after; a beginning without an end is a death. After a few deaths on a shard its items are tried
one by one. Who dies on one item alone, again and again, has found the item that kills; it is listed
as bad, and the others are encoded in their usual batches. What dies by accident, with a machine
that vanishes, changes nothing: the shard comes out with the same bytes.

A process has several shards in hand. If it dies while it tries an item of one of them alone, it is
that item's doing, and says nothing of the other shards.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

_DEATHS_BEFORE_CARE = 2  # more costs a machine's start each, and a page that kills will kill again
_DEATHS_OF_A_KILLER = 2  # one may be the machine's end
_DEATHS_BEFORE_DESPAIR = 6


@dataclass(frozen=True)
class Attempt:
    """How a shard is to be encoded this time.

    Attributes:
        num_deaths: of processes that have begun it, but for those that an item explains.
        is_careful: whether its items are tried one by one first.
        is_hopeless: whether it is given up.
        survived: items that were tried alone, and may be left out of it now.
        killers: items that no process survives.
    """

    num_deaths: int
    is_careful: bool
    is_hopeless: bool
    survived: frozenset[str]
    killers: frozenset[str]


class ShardHistory:
    """The attempts at one shard."""

    def __init__(self) -> None:
        self._num_deaths = 0
        self._deaths_of: Counter[str] = Counter()
        self._survived: set[str] = set()
        self._alone: str | None = None
        self._is_open = self._is_checked = False

    def begin(self, *, is_blamed: bool = True) -> Attempt:
        """A process begins the shard; one that had begun it before and not ended it is dead.

        Args:
            is_blamed: whether that death is the shard's doing, or an item's of it.
        """
        if is_blamed and self._alone is not None:
            self._deaths_of[self._alone] += 1
        elif is_blamed and self._is_open:
            self._num_deaths += 1
        self._is_open, self._alone = True, None
        return Attempt(
            num_deaths=self._num_deaths,
            is_careful=self._num_deaths >= _DEATHS_BEFORE_CARE and not self._is_checked,
            is_hopeless=self._num_deaths >= _DEATHS_BEFORE_DESPAIR,
            survived=frozenset(self._survived),
            killers=frozenset(
                item for item, deaths in self._deaths_of.items() if deaths >= _DEATHS_OF_A_KILLER
            ),
        )

    def alone(self, item: str) -> None:
        """The process is about to try an item alone."""
        self._alone = item

    def survive(self, item: str) -> None:
        """It has survived an item."""
        self._survived.add(item)
        self._alone = None

    def checked(self) -> None:
        """It has tried all items alone."""
        self._is_checked = True

    def end(self) -> None:
        """It has ended the shard, well or with an error that it could tell."""
        self._is_open, self._alone = False, None


@dataclass(frozen=True)
class Process:
    """Who encodes.

    Attributes:
        worker: the process; one that is started in its stead is another.
        node: the machine that it is on.
    """

    worker: str
    node: str


class Histories:
    """The attempts at all shards; see `ShardHistory`.

    Args:
        is_lost: whether a machine is gone, with all of its processes.
    """

    def __init__(self, is_lost: Callable[[str], bool]) -> None:
        self._is_lost = is_lost
        self._histories: defaultdict[str, ShardHistory] = defaultdict(ShardHistory)
        self._holders: dict[str, Process] = {}
        self._alone: dict[Process, str] = {}

    def begin(self, path: str, process: Process) -> Attempt:
        """A process begins a shard."""
        before = self._holders.get(path)
        self._holders[path] = process
        return self._histories[path].begin(
            is_blamed=before is not None
            and self._alone.get(before, path) == path
            and not self._is_lost(before.node)
        )

    def alone(self, path: str, item: str) -> None:
        """The process is about to try an item of a shard alone."""
        self._histories[path].alone(item)
        if path in self._holders:
            self._alone[self._holders[path]] = path

    def survive(self, path: str, item: str) -> None:
        """It has survived an item."""
        self._histories[path].survive(item)
        if path in self._holders:
            self._alone.pop(self._holders[path], None)

    def checked(self, path: str) -> None:
        """It has tried all items of a shard alone."""
        self._histories[path].checked()

    def end(self, path: str) -> None:
        """It has ended a shard, well or with an error that it could tell."""
        self._histories[path].end()
        process = self._holders.pop(path, None)
        if process and self._alone.get(process) == path:
            del self._alone[process]
