"""The pages found for every query: written as they are found, read again as they are judged."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from colintern import storage
from colintern.data.compute import pc

DEPTH = 100  # pages of every query that are kept
SCHEMA = pa.schema(
    {"query_id": pa.string(), "page_id": pa.string(), "score": pa.float32(), "rank": pa.int32()}
)
# Earlier versions wrote a table in chunks and row groups of so many rows. They decide on where
# Parquet ends a page, so that the same results give the same bytes.
_CHUNK_ROWS = 32_768
_GROUP_ROWS = 2**20


@contextmanager
def writing_results(path: str) -> Iterator[Callable[[pa.Table], None]]:
    """A function that writes further rows of `SCHEMA`, those of a query together.

    Ranks beyond `DEPTH` are left out. The file stands at `path` when the block ends well.
    """
    with storage.writing(path) as file:
        parquet = pq.ParquetWriter(file, SCHEMA, compression="zstd")
        try:
            writer = _Writer(parquet)
            yield writer.write
            writer.write_rest()
        finally:
            parquet.close()


def read_results(path: str) -> pa.Table:
    """The results of an evaluation, whole."""
    with _opened(io.BytesIO(storage.read_bytes(path))) as parquet:
        return parquet.read(use_threads=False)


def asked_queries(path: str) -> pa.Array:
    """The ids of the queries that found something, sorted, a part of the file at a time."""
    with storage.open_file(path) as file, _opened(file) as parquet:
        batches = parquet.iter_batches(_CHUNK_ROWS, columns=["query_id"], use_threads=False)
        found = [batch["query_id"].unique() for batch in batches]
    return pa.chunked_array(found, pa.string()).unique().sort()


def ranked_queries(path: str, depth: int) -> Iterator[tuple[str, list[str]]]:
    """Query ids, sorted, each with the ids of its best pages, a part of the file at a time."""
    best = (batch.filter(pc.field("rank") <= depth) for batch in found_pages(path))
    rows = (
        row
        for batch in best
        for row in zip(batch["query_id"].to_pylist(), batch["page_id"].to_pylist(), strict=True)
    )
    for query_id, own in groupby(rows, key=lambda row: row[0]):
        yield query_id, [page_id for _, page_id in own]


def found_pages(path: str) -> Iterator[pa.RecordBatch]:
    """`query_id`, `page_id` and `rank` of all results, a part of the file at a time, in order."""
    columns = ["query_id", "page_id", "rank"]
    with storage.open_file(path) as file, _opened(file) as parquet:
        yield from parquet.iter_batches(_CHUNK_ROWS, columns=columns, use_threads=False)


def _opened(file: BinaryIO) -> pq.ParquetFile:
    """For reading in this thread, for the reason that `features.tables.read_column` gives."""
    return pq.ParquetFile(file, pre_buffer=False)


class _Writer:
    """Cuts rows into chunks and row groups, of which the last one is in memory."""

    def __init__(self, parquet: pq.ParquetWriter) -> None:
        self._parquet = parquet
        self._rows = SCHEMA.empty_table()  # less than a chunk
        self._chunks = SCHEMA.empty_table()  # less than a row group
        self._is_empty = True

    def write(self, rows: pa.Table) -> None:
        self._rows = pa.concat_tables([self._rows, rows])
        while len(self._rows) >= _CHUNK_ROWS:
            self._add_chunk(self._rows.slice(0, _CHUNK_ROWS))
            self._rows = self._rows.slice(_CHUNK_ROWS)

    def write_rest(self) -> None:
        self._add_chunk(self._rows)
        if len(self._chunks) or self._is_empty:
            self._parquet.write_table(self._chunks)

    def _add_chunk(self, rows: pa.Table) -> None:
        chunk = rows.combine_chunks().filter(pc.less_equal(rows["rank"], DEPTH))
        self._chunks = pa.concat_tables([self._chunks, chunk])
        if len(self._chunks) >= _GROUP_ROWS:
            self._parquet.write_table(self._chunks.slice(0, _GROUP_ROWS))
            self._chunks = self._chunks.slice(_GROUP_ROWS)
            self._is_empty = False
