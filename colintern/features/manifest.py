"""The table of a store's pages or queries: which item stands in which shard."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from colintern import storage


@dataclass(frozen=True)
class QueryRow:
    """One query: its id, the SHA-256 of its text, its shard's file name, its number of tokens."""

    id: str
    sha256: str
    shard: str
    num_tokens: int


@dataclass(frozen=True)
class PageRow(QueryRow):
    """One page: as a query's row, by the hash of its image bytes, and how it was tiled."""

    doc_id: str | None
    width: int
    height: int
    tile_rows: int
    tile_columns: int


Row = TypeVar("Row", bound=QueryRow)

_STRINGS = ("id", "sha256", "shard", "doc_id")


def write_manifest(path: str, rows: Iterable[QueryRow], row_type: type[QueryRow]) -> None:
    """Write `rows`, sorted by id, as parquet; the same rows give the same bytes."""
    ordered = [asdict(row) for row in sorted(rows, key=lambda row: row.id)]
    schema = pa.schema(
        [
            (field.name, pa.string() if field.name in _STRINGS else pa.int32())
            for field in fields(row_type)
        ]
    )
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ordered, schema), buffer, compression="zstd")
    storage.write_bytes(path, buffer.getvalue())


def read_manifest(path: str, row_type: type[Row]) -> Sequence[Row]:
    """The rows of a manifest, sorted by id."""
    table = pq.read_table(io.BytesIO(storage.read_bytes(path)))
    return [row_type(**row) for row in table.to_pylist()]
