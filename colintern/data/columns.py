"""Ids and texts as columns of Arrow strings: sorting them, finding them, going through them.

Ids are sorted by code point everywhere, which is the order of their UTF-8 bytes.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from colintern.data.compute import pc

_SLICE = 65_536  # strings that are made into Python objects at one time
_MOST_STRING_BYTES = 2**31 - 1  # of one Arrow `string` column, whose offsets have 32 bits


def strings(values: Iterable[str | None]) -> pa.Array:
    """A column of strings."""
    return pa.array(values, pa.string())


def joined(parts: Sequence[pa.Array]) -> pa.Array:
    """One column of the texts of several; `large_string` where `string` cannot hold them.

    Args:
        parts: columns of `string`.
    """
    if sum(part.nbytes for part in parts) > _MOST_STRING_BYTES:
        parts = [part.cast(pa.large_string()) for part in parts]
    return pa.concat_arrays(parts) if parts else strings([])


def in_order(ids: pa.Array) -> tuple[NDArray[np.int64], pa.Array]:
    """The rows of `ids` sorted by code point, equal ones in their order; and the sorted ids."""
    order = pc.sort_indices(ids)
    return order.to_numpy().astype(np.int64), ids.take(order)


def find(wanted: pa.Array | pa.ChunkedArray, ids: pa.Array) -> NDArray[np.int64]:
    """The position of each of `wanted` in `ids`, which are distinct and sorted; -1 for no id."""
    if not len(ids):
        return np.full(len(wanted), -1, dtype=np.int64)
    if pa.types.is_large_string(wanted.type):
        ids = ids.cast(wanted.type)
    wanted = wanted.cast(ids.type)
    position = pc.search_sorted(ids, wanted).to_numpy().astype(np.int64)
    nearest = ids.take(pa.array(np.minimum(position, len(ids) - 1)))
    is_there = pc.equal(nearest, wanted).to_numpy(zero_copy_only=False)
    return np.where(is_there, position, -1)


def offsets_of(counts: NDArray[np.int64] | NDArray[np.bool_]) -> NDArray[np.int64]:
    """Where groups of so many rows begin in one array, and at last where they all end."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


def slices(values: pa.Array) -> Iterator[pa.Array]:
    """Parts of a column that are small enough to be made into Python objects."""
    for start in range(0, len(values), _SLICE):
        yield values.slice(start, _SLICE)
