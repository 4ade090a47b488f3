"""Whether a finished store is still as it was written, told at the start of whoever needs it."""

from collections.abc import Sequence
from itertools import accumulate

import pyarrow as pa

from colintern import storage
from colintern.errors import DamagedShardError
from colintern.features.damage import MARK, SHARD
from colintern.features.shard_file import ShardFile
from colintern.features.store import PAGES, QUERIES, RECORD, manifests_of
from colintern.features.tables import read_column
from colintern.records import Record
from colintern.storage import FileState

_LOOKED_AT_BYTES = 2**30  # a few seconds' work


def is_whole(store: str, record: Record) -> bool:
    """Whether all that a store's record names is there, as large as it was, by three listings.

    Shards that were written to since are looked at, unless they are many, as in a store that was
    copied. What is damaged otherwise is found when it is read.
    """
    folders = (storage.join(store, part) for part in ("", PAGES, QUERIES))
    there = {state.path: state for folder in folders for state in storage.list_states(folder)}
    earlier = _shards_of_an_earlier_version(store, record)
    if earlier is None:
        return False
    sizes = {storage.join(store, output.path): output.bytes for output in record.outputs}
    needed = [*sizes, *earlier]
    for path in needed:
        if path not in there or path + MARK in there:
            return False
        if there[path].size != sizes.get(path, there[path].size):
            return False
    shards = [there[path] for path in sorted(needed) if path.endswith(SHARD)]
    recorded_at = there[storage.join(store, RECORD)].changed_at or 0.0
    try:
        for state in _written_since(recorded_at, shards):
            ShardFile(state.path, state.size).check()
    except DamagedShardError:  # it has left its mark
        return False
    return True


def _shards_of_an_earlier_version(store: str, record: Record) -> list[str] | None:
    """The shards of a store whose record names none; None when its manifests are damaged."""
    if any(output.path.endswith(SHARD) for output in record.outputs):
        return []
    found: set[str] = set()
    for part, manifest in manifests_of(record).items():
        path = storage.join(store, manifest.path)
        if not storage.exists(path):
            return None
        try:
            shards = read_column(path, "shard").unique().to_pylist()
        except pa.ArrowException:
            return None
        found.update(storage.join(store, part, file) for file in shards)
    return sorted(found)


def _written_since(recorded_at: float, shards: Sequence[FileState]) -> list[FileState]:
    """Those that look younger than the record, which was written last; not all of many."""
    younger = [shard for shard in shards if recorded_at < (shard.changed_at or 0.0)]
    ends = accumulate(shard.size for shard in younger)
    return [shard for shard, end in zip(younger, ends, strict=True) if end <= _LOOKED_AT_BYTES]
