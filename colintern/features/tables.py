"""Parquet tables of a store, written and read without all of their text in memory."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from colintern import storage

ROWS_PER_GROUP = 2**20  # pyarrow's own, so that a table is written alike in one piece and in parts
ROWS_PER_BATCH = 16_384  # read at one time: a few MB of text
_BUFFER_BYTES = 2**20  # of each column; without a buffer pyarrow takes the whole column chunk


def write_table(
    file: BinaryIO, schema: pa.Schema, num_rows: int, rows: Callable[[int, int], pa.Table]
) -> None:
    """Write a table as `pyarrow.parquet.write_table` does, one row group in memory at a time.

    Args:
        file: where to.
        schema: of the table.
        num_rows: how many it has.
        rows: makes the table's rows from a first one up to a last one, in `schema`.
    """
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for start in range(0, max(num_rows, 1), ROWS_PER_GROUP):
            end = min(num_rows, start + ROWS_PER_GROUP)
            writer.write_table(rows(start, end), ROWS_PER_GROUP)


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """A file that gives the same bytes until it is closed, whatever is written at its path.

    An object is taken whole: another one may stand under its name at the next request.
    """
    if storage.is_local(path):
        with storage.open_file(path) as file:
            yield file
    else:
        yield io.BytesIO(storage.read_bytes(path))


def parquet(file: BinaryIO) -> pq.ParquetFile:
    """A Parquet file that is read a batch at a time."""
    return pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False)


def read_column(path: str, name: str) -> pa.ChunkedArray:
    """A column of a table, whole.

    Read in this thread: a thread of Arrow that still holds a Python file when the process ends
    aborts it.

    Raises:
        StorageError: the file is missing or cannot be read.
        pyarrow.ArrowException: it is no table, or lacks the column.
    """
    with storage.open_file(path) as file, parquet(file) as table:
        return table.read([name], use_threads=False).column(0)


def batches(
    source: pq.ParquetFile, columns: Sequence[str], rows: np.ndarray | None = None
) -> Iterator[pa.RecordBatch]:
    """Some columns, as little in memory at a time as Parquet's data pages allow.

    Args:
        source: an open file.
        columns: which of its columns.
        rows: which of its rows, increasing; None for all.
    """
    start = 0
    for batch in source.iter_batches(ROWS_PER_BATCH, columns=list(columns), use_threads=False):
        end = start + len(batch)
        if rows is not None:
            first, last = np.searchsorted(rows, [start, end])
            batch = batch.take(pa.array(rows[first:last] - start))
        yield batch
        start = end


def numbered(names: dict[str, int], texts: pa.StringArray) -> np.ndarray:
    """The number of each text, int32; a new one gets the next number in `names`."""
    found = texts.dictionary_encode()
    codes = [names.setdefault(name, len(names)) for name in found.dictionary.to_pylist()]
    return np.array(codes, np.int32)[found.indices.to_numpy()]
