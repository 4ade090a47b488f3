"""Which shards a store's pages or queries have: those of earlier corpora, and those of new items.

The plan is kept beside the shards: which items were planned into which, in order. With it a shard
that is lost is made again under its name with its bytes, however the corpus has grown since. Stores
of earlier versions have none: their shards are known by their manifest and their whole corpus.

While a store is made, it keeps the limits that its shards were cut by: whoever goes on with it, on
other machines or with another `features.shard_bytes`, finds the shards that are there.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa

from colintern import storage
from colintern.data import digests
from colintern.data.compute import pc
from colintern.features import tables
from colintern.features.cutting import PlannedShards, ShardLimits, plan_shards
from colintern.features.manifest import MANIFEST

PLAN = "plan.parquet"
LIMITS = "limits.json"
_SCHEMA = pa.schema({"shard": pa.string(), "sha256": pa.string()})


@dataclass(frozen=True)
class Items:
    """The distinct items of a corpus that can be encoded, in the order of their ids.

    Attributes:
        hashes: of all rows of the corpus, uint8 [N, 32].
        rows: the row of each item in `hashes`, int32.
        sizes: bytes that each item is expected to take, int64.
        megaflops: of encoding each item, int32.
    """

    hashes: np.ndarray
    rows: np.ndarray
    sizes: np.ndarray
    megaflops: np.ndarray

    def totals(self) -> "Totals":
        """Of all of them together."""
        return Totals(
            len(self.rows), int(self.sizes.sum()), int(self.megaflops.sum(dtype=np.int64))
        )

    def cut(
        self, limits: ShardLimits, chosen: np.ndarray | slice = slice(None), first_number: int = 0
    ) -> PlannedShards:
        """Some of the items in shards, see `plan_shards`."""
        amounts = [(self.sizes[chosen], limits.num_bytes)]
        if limits.megaflops is not None:
            amounts.append((self.megaflops[chosen], limits.megaflops))
        return plan_shards(self.hashes, self.rows[chosen], amounts, first_number)


@dataclass(frozen=True)
class Totals:
    """What a store's `pages` or `queries` take in all: distinct items, bytes, 10**6 FLOPs."""

    items: int
    num_bytes: int
    megaflops: int


@dataclass(frozen=True)
class PartPlan:
    """The shards of a store's `pages` or `queries`.

    Attributes:
        kept: those of earlier corpora.
        lost: the indexes in `kept` of those that are gone or damaged, to be made again.
        new: those of the items that no earlier corpus had; their rows are the corpus's.
        limits: what the new ones are cut by.
    """

    kept: PlannedShards
    lost: tuple[int, ...]
    new: PlannedShards
    limits: ShardLimits

    @property
    def files(self) -> list[str]:
        """The files of all shards, when the store is finished."""
        return [*self.kept.files, *self.new.files]


def plan_part(folder: str, items: Items, limits: ShardLimits, whole: Collection[str]) -> PartPlan:
    """Plan the shards of `items` beside those that the store has already.

    A lost shard of which the corpus has not all items any more cannot be made again; what is left
    of them is planned again.

    Args:
        folder: the store's `pages` or `queries`.
        items: all of the corpus that can be encoded.
        limits: what new shards are cut by, if none is there yet.
        whole: the files of the shards that are there and whole (`damage.whole_shards`).
    """
    earlier = _earlier_shards(folder, items, limits.num_bytes)
    if begun := _begun_with(folder, limits, not set(whole) <= set(earlier.files)):
        limits = begun
    lost = {shard for shard, file in enumerate(earlier.files) if file not in whole}
    column = digests.column_of(items.hashes[items.rows])
    exact = [shard for shard in sorted(lost) if earlier.is_exact(shard)]
    again = {shard for shard in exact if _are_there(earlier, shard, column)}
    numbers = [shard for shard in range(len(earlier)) if shard not in lost or shard in again]
    kept = earlier.select(numbers)
    is_new = np.ones(len(items.rows), bool)
    if len(kept.rows):
        held = digests.column_of(kept.hashes[kept.rows])
        is_new = ~pc.is_in(column, held).to_numpy(zero_copy_only=False)
    new = items.cut(limits, is_new, len(earlier))
    lost_numbers = tuple(number for number, shard in enumerate(numbers) if shard in again)
    return PartPlan(kept, lost_numbers, new, limits)


def begin_part(folder: str, plan: PartPlan) -> None:
    """Keep what new shards are cut by, until all of them are there."""
    storage.write_json(storage.join(folder, LIMITS), asdict(plan.limits))


def _begun_with(folder: str, limits: ShardLimits, has_begun: bool) -> ShardLimits | None:
    """What the new shards of an unfinished store are cut by; None if none is there.

    Args:
        folder: the store's `pages` or `queries`.
        limits: those of a store that is begun now.
        has_begun: whether shards are there that no plan names.
    """
    path = storage.join(folder, LIMITS)
    if storage.exists(path):
        return ShardLimits(**storage.read_json(path))
    return ShardLimits(limits.num_bytes) if has_begun else None  # as earlier versions cut it


def write_plan(folder: str, plan: PartPlan) -> None:
    """Keep the plan of a store's `pages` or `queries` in their folder, when all shards are there.

    It says more than what they were cut by, which is forgotten then.
    """
    parts = (plan.kept, plan.new)
    counts = np.concatenate([np.diff(part.starts) for part in parts])
    codes = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    files, first_new = pa.array(plan.files, pa.string()), len(plan.kept.rows)

    def rows(start: int, end: int) -> pa.Table:
        cut = [(start, min(end, first_new)), (max(start, first_new) - first_new, end - first_new)]
        hashes = [
            part.hashes[part.rows[a : max(a, b)]] for part, (a, b) in zip(parts, cut, strict=True)
        ]
        columns = {
            "shard": files.take(pa.array(codes[start:end])),
            "sha256": digests.texts_of(
                np.concatenate(hashes) if all(map(len, hashes)) else max(hashes, key=len)
            ),
        }
        return pa.table(columns, _SCHEMA)

    with storage.writing(storage.join(folder, PLAN)) as file:
        tables.write_table(file, _SCHEMA, len(codes), rows)
    storage.delete(storage.join(folder, LIMITS))


def _are_there(shards: PlannedShards, shard: int, items: pa.Array) -> bool:
    """Whether the corpus has all items of a shard."""
    hashes = shards.hashes[shards.rows_of(shard)]
    return pc.all(pc.is_in(digests.column_of(hashes), items)).as_py() is not False


def _earlier_shards(folder: str, items: Items, shard_bytes: int) -> PlannedShards:
    """The shards that were planned for earlier corpora, sorted by file."""
    if len(planned := _read(storage.join(folder, PLAN))):
        return planned
    known = _read(storage.join(folder, MANIFEST))
    if not len(known):
        return known
    at_once = items.cut(ShardLimits(shard_bytes))
    if set(known.files) <= set(at_once.files):
        return at_once
    numbers = {file: number for number, file in enumerate(at_once.files)}
    hashes = [
        at_once.hashes[at_once.rows_of(numbers[file])]
        if file in numbers
        else known.hashes[known.rows_of(shard)]
        for shard, file in enumerate(known.files)
    ]
    return _of(known.files, hashes)


def _of(files: Sequence[str], hashes: list[np.ndarray]) -> PlannedShards:
    starts = np.cumsum([0, *map(len, hashes)])
    none = np.empty((0, digests.NUM_BYTES), np.uint8)
    return PlannedShards(
        files, starts, np.arange(starts[-1], dtype=np.int32), np.concatenate([none, *hashes])
    )


def _read(path: str) -> PlannedShards:
    """The shards of a plan or a manifest, sorted; none when it is gone or damaged."""
    files: dict[str, int] = {}
    file_of, hashes = [np.empty(0, np.int32)], [np.empty((0, digests.NUM_BYTES), np.uint8)]
    if storage.exists(path):
        try:
            with tables.opened(path) as file, tables.parquet(file) as parquet:
                for batch in tables.batches(parquet, _SCHEMA.names):
                    file_of.append(tables.numbered(files, batch["shard"]))
                    hashes.append(digests.parse(batch["sha256"])[0])
        except pa.ArrowException:
            return _of([], [])
    return _sorted(files, np.concatenate(file_of), np.concatenate(hashes))


def _sorted(files: dict[str, int], file_of: np.ndarray, hashes: np.ndarray) -> PlannedShards:
    """Shards sorted by file, the items of each in order and once.

    Args:
        files: file name to number.
        file_of: the number of each item's file.
        hashes: of the items.
    """
    names = sorted(files)
    shard_of_file = np.empty(len(files), np.int64)
    shard_of_file[[files[name] for name in names]] = np.arange(len(names))
    shard_of = shard_of_file[file_of]
    # The first of equal items: pages of one image stand in a manifest once each.
    key = shard_of * max(len(hashes), 1) + digests.numbered(hashes)
    first = np.sort(np.unique(key, return_index=True)[1])
    rows = first[np.argsort(shard_of[first], kind="stable")].astype(np.int32)
    starts = np.searchsorted(shard_of[rows], np.arange(len(names) + 1))
    return PlannedShards(names, starts, rows, hashes)
