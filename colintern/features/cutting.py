"""Which items go into which shard: decided from the corpus, never from what is missing.

A shard's name holds a hash of its items, so a retry writes the same name with the same bytes, and
what a killed run left behind is either exactly a planned shard or never looked at. An item is a
distinct page or query text, by the hash of its bytes.

A shard ends at its bytes, or at about a minute's work of one worker: a finished shard is how
progress is seen, and what a worker that vanishes does not take with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from colintern import storage

_MEGA = 10**6  # FLOPs are counted in millions: those of a large corpus pass 2**63
_WORK_SECONDS = 60
# What one worker is taken to do in a second. On purpose constants and not measured: the same corpus
# is cut alike on every machine of a kind. A few CPU cores reach 0.05 to 0.5 TFLOP/s in float32; an
# H200 has reached 300 in bfloat16 (benchmarks/gpu.py), smaller GPUs a third or less of that.
_CPU_MEGAFLOPS_PER_SECOND = 100_000
_GPU_MEGAFLOPS_PER_SECOND = 100_000_000


@dataclass(frozen=True)
class ShardLimits:
    """At how much a shard ends.

    Attributes:
        num_bytes: that its items are expected to take.
        megaflops: of encoding them; None, as in earlier versions, for any number.
    """

    num_bytes: int
    megaflops: int | None = None


def shard_limits(shard_bytes: int, use_gpu: bool) -> ShardLimits:
    """The limits of the shards of a store that is begun now."""
    rate = _GPU_MEGAFLOPS_PER_SECOND if use_gpu else _CPU_MEGAFLOPS_PER_SECOND
    return ShardLimits(shard_bytes, _WORK_SECONDS * rate)


def megaflops(flops: int) -> int:
    """Floating-point operations in millions, rounded down."""
    return flops // _MEGA


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
    hashes: np.ndarray,
    rows: np.ndarray,
    amounts: Sequence[tuple[np.ndarray, int]],
    first_number: int = 0,
) -> PlannedShards:
    """Cut items, in their order, into shards within all limits, at least one item each.

    Args:
        hashes: uint8 [N, 32].
        rows: which of them are the items, each once, in order.
        amounts: how much each of the items has of something, in whole numbers, and how much of it
            a shard may have; an item that has more stands alone.
        first_number: of the first shard, in its name.
    """
    ends = [(np.cumsum(amount, dtype=np.int64), most) for amount, most in amounts]
    starts = [0]
    while (start := starts[-1]) < len(rows):
        end = min(
            int(np.searchsorted(end, (end[start - 1] if start else 0) + most, side="right"))
            for end, most in ends
        )
        starts.append(max(end, start + 1))
    files = [
        f"shard-{first_number + number:05d}{_ending(hashes[rows[start:end]])}"
        for number, (start, end) in enumerate(pairwise(starts))
    ]
    return PlannedShards(files, np.array(starts, np.int64), rows, hashes)


def _ending(hashes: np.ndarray) -> str:
    digest = storage.sha256_of_bytes(hashes.tobytes().hex().encode())
    return f"-{digest[:8]}.safetensors"
