"""How far encoding is: told while it goes on, and kept beside the store when it has ended."""

import json
import threading
import time
from collections.abc import Sequence
from typing import Any

from colintern import log, records, storage
from colintern.features.encoding import WrittenShard

ENCODE_LOG = "encode_log.jsonl"


class EncodingProgress:
    """Counts what is encoded and tells it; threads share it.

    Args:
        progress: told of items, as long as it is open.
        num_shards: to be encoded.

    Attributes:
        facts: what else whoever encodes tells of it; kept with the counts.
    """

    def __init__(self, progress: log.Progress, num_shards: int) -> None:
        self.facts: dict[str, Any] = {}
        self._num_shards = num_shards
        self._started_at = records.now()
        self._began = time.monotonic()
        self._shards = self._items = self._tokens = self._told = 0
        self._lock = threading.Lock()
        self._progress = progress

    def at_work(self) -> None:
        """The first model is loaded: the rate counts from here."""
        self._progress.at_work()

    def done(self, written: WrittenShard) -> None:
        """Count a shard that is written."""
        with self._lock:
            self._shards += 1
            self._items += len(written.items.hashes)
            self._tokens += int(written.items.num_tokens.sum())
        self.tell()

    def tell(self, under_way: int = 0, now: str = "") -> None:
        """Tell how far it is.

        Args:
            under_way: items that are encoded already, of shards that are not written yet.
            now: what happens, in a few words.
        """
        with self._lock:  # a worker's counts may be those before a shard that is written by now
            self._told = max(self._told, self._items + under_way)
            shards = f"{self._shards:,} / {self._num_shards:,} shards"
            more = f"{self._tokens:,} tokens" if self._tokens else ""
            self._progress.reach(
                self._told, short=f"{shards}   {now}" if now else shards, more=more
            )

    def keep(self, stores: Sequence[str]) -> None:
        """Append what was done to the log of some stores; it is no part of their records.

        A line is one start of the work on all stores together: `started_at`, `finished_at`,
        `seconds`, `shards`, `items`, `tokens`, and `facts`.
        """
        entry = {
            "started_at": self._started_at,
            "finished_at": records.now(),
            "seconds": round(time.monotonic() - self._began, 3),
            "shards": self._shards,
            "items": self._items,
            "tokens": self._tokens,
            **self.facts,
        }
        for store in stores:
            path = storage.join(store, ENCODE_LOG)
            before = storage.read_bytes_if_there(path) or b""
            storage.write_bytes(path, before + json.dumps(entry).encode() + b"\n")
