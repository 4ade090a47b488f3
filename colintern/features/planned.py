"""Which shards a store's pages or queries have: those of earlier corpora, and those of new items.

The plan is kept beside the shards: which items were planned into which, in order. With it a shard
that is lost is made again under its name with its bytes, however the corpus has grown since. Stores
of earlier versions have none: their shards are known by their manifest and their whole corpus.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from colintern import storage
from colintern.features.cutting import Item, PlannedShard, plan_shards
from colintern.features.damage import whole_shards
from colintern.features.manifest import MANIFEST

PLAN = "plan.parquet"


@dataclass(frozen=True)
class PartPlan:
    """The shards of a store's `pages` or `queries`.

    Attributes:
        shards: all of them, when the store is finished.
        lost: those of earlier corpora that are gone or damaged, to be made again.
        new: those of the items that no earlier corpus had.
    """

    shards: tuple[PlannedShard, ...]
    lost: tuple[PlannedShard, ...]
    new: tuple[PlannedShard, ...]


def plan_part(
    store: str, part: str, items: Sequence[Item], shard_bytes: int, sizes: Mapping[str, int]
) -> PartPlan:
    """Plan the shards of `items`, in their order, beside those that the store has already.

    A lost shard of which the corpus has not all items any more cannot be made again; what is left
    of them is planned anew.

    Args:
        store: its path.
        part: `pages` or `queries`.
        items: all of the corpus that can be encoded.
        shard_bytes: about the size of a shard.
        sizes: what the store's record says of its shards (`damage.recorded_sizes`).
    """
    earlier = _earlier_shards(storage.join(store, part), items, shard_bytes)
    whole = whole_shards(store, part, sizes) if earlier else {}
    there = {item.sha256 for item in items}
    lost = [shard for shard in earlier if shard.file not in whole]
    again = [shard for shard in lost if shard.is_exact and there.issuperset(shard.items)]
    given_up = {shard.file for shard in lost} - {shard.file for shard in again}
    kept = [shard for shard in earlier if shard.file not in given_up]
    held = {sha256 for shard in kept for sha256 in shard.items}
    new = plan_shards(
        (item for item in items if item.sha256 not in held), shard_bytes, first_number=len(earlier)
    )
    return PartPlan((*kept, *new), tuple(again), tuple(new))


def write_plan(folder: str, shards: Sequence[PlannedShard]) -> None:
    """Keep the plan of a store's `pages` or `queries` in their folder."""
    files = [shard.file for shard in shards for _ in shard.items]
    items = [item for shard in shards for item in shard.items]
    columns = {"shard": pa.array(files, pa.string()), "sha256": pa.array(items, pa.string())}
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd")
    storage.write_bytes(storage.join(folder, PLAN), buffer.getvalue())


def _earlier_shards(folder: str, items: Sequence[Item], shard_bytes: int) -> Sequence[PlannedShard]:
    """The shards that were planned for earlier corpora, sorted by file."""
    if planned := _read(storage.join(folder, PLAN)):
        return planned
    known = _read(storage.join(folder, MANIFEST))
    at_once = {shard.file: shard for shard in plan_shards(items, shard_bytes)}
    if {shard.file for shard in known} <= at_once.keys():
        return list(at_once.values()) if known else []
    return [at_once.get(shard.file, shard) for shard in known]


def _read(path: str) -> list[PlannedShard]:
    """The shards of a plan or a manifest; none when it is gone or damaged."""
    if not storage.exists(path):
        return []
    try:
        table = pq.read_table(io.BytesIO(storage.read_bytes(path)), columns=["shard", "sha256"])
    except pa.ArrowException:
        return []
    found: dict[str, dict[str, None]] = {}
    for file, sha256 in zip(*(table[name].to_pylist() for name in table.column_names), strict=True):
        found.setdefault(file, {})[sha256] = None
    return [PlannedShard(file, tuple(found[file])) for file in sorted(found)]
