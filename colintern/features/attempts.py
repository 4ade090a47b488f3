"""What is known of processes that died while they encoded a shard, and what follows from it.

A process that dies tells nothing. So whoever begins a shard, or tries a page alone, says so before
and after; a beginning without an end is a death. After a few deaths on a shard its items are tried
one by one. Who dies on one item alone, again and again, has found the item that kills; it is listed
as bad, and the others are encoded in their usual batches. What dies by accident, with a machine
that vanishes, changes nothing: the shard comes out with the same bytes.
"""

from collections import Counter
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

    def begin(self) -> Attempt:
        """A process begins the shard; one that had begun it before and not ended it is dead."""
        if self._alone is not None:
            self._deaths_of[self._alone] += 1
        elif self._is_open:
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
