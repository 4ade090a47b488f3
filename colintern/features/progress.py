"""How far encoding is: said while it goes on, and kept beside the store when it has ended."""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from colintern import log, records, storage
from colintern.features.encoding import WrittenShard

ENCODE_LOG = "encode_log.jsonl"
# So many seconds after the start, lines come as many seconds apart: often while somebody looks on,
# and not a thousand of them in a night.
_PAUSES = ((60, 5), (600, 15), (float("inf"), 60))


class EncodingProgress:
    """Counts what is encoded, and says it.

    Args:
        num_shards: to be encoded.
        clock: seconds that never go back.

    Attributes:
        facts: what else whoever encodes tells of it; kept with the counts.
    """

    def __init__(self, num_shards: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.facts: dict[str, Any] = {}
        self._num_shards = num_shards
        self._clock = clock
        self._started_at = records.now()
        self._began = self._said = self._at_work = clock()
        self._shards = self._items = self._tokens = 0

    def at_work(self) -> None:
        """The first model is loaded: the rate counts from here."""
        self._at_work = self._clock()

    def done(self, written: WrittenShard) -> None:
        """Count a shard that is written."""
        self._shards += 1
        self._items += len(written.items.hashes)
        self._tokens += int(written.items.num_tokens.sum())
        self.say_when_due(is_due=self._shards == self._num_shards)

    def say_when_due(self, under_way: int = 0, now: str = "", *, is_due: bool = False) -> None:
        """Say a line, if the last one is long enough ago.

        Args:
            under_way: items that are encoded already, of shards that are not written yet.
            now: what happens, in a few words.
            is_due: whether the line comes in any case.
        """
        time_now = self._clock()
        seconds = time_now - self._began
        pause = next(pause for until, pause in _PAUSES if seconds < until)
        if not is_due and time_now - self._said < pause:
            return
        self._said = time_now
        items = self._items + under_way
        log.say(
            "encode",
            "%4d / %d shards   %s items   %s tokens   %.0f items/s%s",
            self._shards,
            self._num_shards,
            f"{items:,}",
            f"{self._tokens:,}",
            items / max(time_now - self._at_work, 1e-9),
            f"   {now}" if now else "",
        )

    def keep(self, stores: Sequence[str]) -> None:
        """Append what was done to the log of some stores; it is no part of their records.

        A line is one start of the work on all stores together: `started_at`, `finished_at`,
        `seconds`, `shards`, `items`, `tokens`, and `facts`.
        """
        entry = {
            "started_at": self._started_at,
            "finished_at": records.now(),
            "seconds": round(self._clock() - self._began, 3),
            "shards": self._shards,
            "items": self._items,
            "tokens": self._tokens,
            **self.facts,
        }
        for store in stores:
            path = storage.join(store, ENCODE_LOG)
            before = storage.read_bytes_if_there(path) or b""
            storage.write_bytes(path, before + json.dumps(entry).encode() + b"\n")
