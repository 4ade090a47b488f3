"""Ids and texts as columns of Arrow strings: sorting them, finding them, going through them.

Ids are sorted by code point everywhere, which is the order of their UTF-8 bytes.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_SLICE = 65_536  # strings that are made into Python objects at one time


def strings(values: Iterable[str | None]) -> pa.Array:
    """A column of strings."""
    return pa.array(values, pa.string())


def in_order(ids: pa.Array) -> tuple[NDArray[np.int64], pa.Array]:
    """The rows of `ids` sorted by code point, equal ones in their order; and the sorted ids."""
    order = pc.sort_indices(ids)
    return order.to_numpy().astype(np.int64), ids.take(order)


def find(wanted: pa.Array, ids: pa.Array) -> NDArray[np.int64]:
    """The position in `ids`, which are distinct, of each of `wanted`; -1 where it is not there.

    Memory grows with the shorter of the two columns.
    """
    if len(ids) <= len(wanted):
        return _index_in(wanted, ids)
    row = _index_in(ids, wanted)  # of each of `ids`, that of the first of `wanted` that is equal
    found = np.flatnonzero(row >= 0)
    position = np.full(len(wanted), -1, dtype=np.int64)
    position[row[found]] = found
    if len(found) == len(wanted):
        return position
    return position[_index_in(wanted, wanted)]  # some stand there twice


def slices(values: pa.Array) -> Iterator[pa.Array]:
    """Parts of a column that are small enough to be made into Python objects."""
    for start in range(0, len(values), _SLICE):
        yield values.slice(start, _SLICE)


def _index_in(values: Any, among: Any) -> NDArray[np.int64]:
    found = pc.index_in(values, value_set=among)
    return found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
