"""Which shards of a store are whole, and which have to be made again.

A shard is known by its record to be gone or short, and by its mark to be damaged: whoever finds
that an item's features are not those that were written leaves a mark beside the shard. Nothing is
taken away: what others read of it stays, until the next encoding writes the same bytes again.
"""

from collections.abc import Collection, Container, Mapping
from typing import NoReturn

from colintern import storage
from colintern.errors import DamagedShardError, StorageError
from colintern.records import Record
from colintern.storage import FileState

SHARD = ".safetensors"
MARK = ".damaged"


def damaged(path: str, what: str) -> NoReturn:
    """Mark a shard, so that the next encoding makes it again.

    Raises:
        DamagedShardError: always; it says what was found.
    """
    remedy = "run the same command again, to make it again"
    try:
        storage.write_bytes(path + MARK, b"")
    except StorageError:
        remedy = f"remove it and {remedy} (it cannot be marked)"
    raise DamagedShardError(f"{path}: {what}; {remedy}")


def mended(path: str) -> None:
    """Take the mark away from a shard that has just been written."""
    storage.delete(path + MARK)


def recorded_sizes(record: Record | None) -> dict[str, int]:
    """Path in the store to size, of the shards that its record names.

    Records of earlier versions name none.
    """
    outputs = record.outputs if record else ()
    return {output.path: output.bytes for output in outputs if output.path.endswith(SHARD)}


def whole_shards(
    store: str, part: str, sizes: Mapping[str, int], *, marked_too: bool = False
) -> dict[str, FileState]:
    """The shards that are there, are of their recorded size, and unmarked, by their file names.

    It takes one listing.

    Args:
        store: its path.
        part: `pages` or `queries`.
        sizes: of `recorded_sizes`; a shard that stands in none may have any.
        marked_too: also those with a mark, which may be readable still.
    """
    states = storage.list_states(storage.join(store, part))
    found = {state.path.rpartition("/")[2]: state for state in states}
    return {
        file: state
        for file, state in found.items()
        if file.endswith(SHARD)
        and (marked_too or file + MARK not in found)
        and state.size == sizes.get(storage.join(part, file), state.size)
    }


def check_whole(needed: Collection[str], whole: Container[str]) -> None:
    """Make sure that shards can be read, all given by their paths.

    Raises:
        DamagedShardError: one of those `needed` is not among the `whole` ones.
    """
    lost = sorted(path for path in set(needed) if path not in whole)
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        raise DamagedShardError(
            f"{lost[0]}{more}: missing, or of another size; to make it again, run "
            "colintern encode or colintern run"
        )
