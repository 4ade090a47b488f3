"""Which items go into which shard: decided from the corpus, never from what is missing.

A shard's name holds a hash of its items, so a retry writes the same name with the same bytes, and
what a killed run left behind is either exactly a planned shard or never looked at. An item is a
distinct page or query text, by the hash of its bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from colintern import storage


@dataclass(frozen=True)
class PlannedShard:
    """A file of the store and the hashes of its items, in the order of the plan."""

    file: str
    items: tuple[str, ...]


@dataclass(frozen=True)
class PlannedShards:
    """Shards and their items, in columns.

    Attributes:
        files: the name of each shard.
        starts: where the items of each shard begin, and at last where they end, int64 [shards + 1].
        rows: the row of each item in `hashes`, one shard after the other, int32.
        hashes: uint8 [N, 32]; rows that stand for no item of these shards are not looked at.
    """

    files: Sequence[str]
    starts: np.ndarray
    rows: np.ndarray
    hashes: np.ndarray

    def __len__(self) -> int:
        return len(self.files)

    def rows_of(self, shard: int) -> np.ndarray:
        """The rows of one shard's items."""
        return self.rows[self.starts[shard] : self.starts[shard + 1]]

    def shard(self, shard: int) -> PlannedShard:
        """One shard, with the hashes as text."""
        hashes = self.hashes[self.rows_of(shard)]
        return PlannedShard(self.files[shard], tuple(item.tobytes().hex() for item in hashes))

    def is_exact(self, shard: int) -> bool:
        """Whether it was planned with just these items in this order, as its name tells."""
        return self.files[shard].endswith(_ending(self.hashes[self.rows_of(shard)]))

    def select(self, shards: Sequence[int]) -> "PlannedShards":
        """Only these shards, in this order."""
        if list(shards) == list(range(len(self))):
            return self
        rows = [self.rows_of(shard) for shard in shards]
        starts = np.cumsum([0, *map(len, rows)])
        files = [self.files[shard] for shard in shards]
        return PlannedShards(files, starts, np.concatenate([self.rows[:0], *rows]), self.hashes)


def plan_shards(
    hashes: np.ndarray, rows: np.ndarray, sizes: np.ndarray, shard_bytes: int, first_number: int = 0
) -> PlannedShards:
    """Cut items, in their order, into shards of about `shard_bytes`, at least one item each.

    Args:
        hashes: uint8 [N, 32].
        rows: which of them are the items, each once, in order.
        sizes: bytes that each of the items is expected to take, int64.
        shard_bytes: as many as these may the items of a shard take; an item that is larger stands
            alone.
        first_number: of the first shard, in its name.
    """
    ends = np.cumsum(sizes, dtype=np.int64)
    starts = [0]
    while starts[-1] < len(rows):
        before = ends[starts[-1] - 1] if starts[-1] else 0
        end = int(np.searchsorted(ends, before + shard_bytes, side="right"))
        starts.append(max(end, starts[-1] + 1))
    files = [
        f"shard-{first_number + number:05d}{_ending(hashes[rows[start:end]])}"
        for number, (start, end) in enumerate(pairwise(starts))
    ]
    return PlannedShards(files, np.array(starts, np.int64), rows, hashes)


def _ending(hashes: np.ndarray) -> str:
    digest = storage.sha256_of_bytes(hashes.tobytes().hex().encode())
    return f"-{digest[:8]}.safetensors"
