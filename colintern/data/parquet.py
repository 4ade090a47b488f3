"""Parquet files on any storage: columns checked when a file is opened, rows streamed in batches.

A file is read through a small buffer, a few rows at a time, so that memory follows the pages that
its writer cut a column into, not the row group. pyarrow cannot take a part of such a page, and its
own writer makes one page of up to 1,024 images: reading then takes about twice that page.

Columns are known by their names with hyphens (`corpus-id`); files may spell them with underscores
(`corpus_id`), as ViDoRe v3 does.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.core import url_to_fs

from colintern import storage
from colintern.errors import DatasetError

_ROWS_PER_BATCH = 4_096  # of text; images are read a few at a time
_IMAGES_PER_BATCH = 8
_BUFFER_BYTES = 2**20  # of each column; without a buffer pyarrow takes the whole column chunk
_KINDS = {
    "corpus-id": "text or whole numbers",
    "query-id": "text or whole numbers",
    "query": "text",
    "score": "numbers",
    "image": "a struct with bytes",
}


def open_parquet(file: str, required: Sequence[str]) -> pq.ParquetFile:
    """Open a parquet file on any storage and check its columns.

    Raises:
        DatasetError: it is not parquet, lacks a required column, or has one of another type.
    """
    try:
        source = file if storage.is_local(file) else _open_remote(file)
        parquet = pq.ParquetFile(source, buffer_size=_BUFFER_BYTES, pre_buffer=False)
    except FileNotFoundError as error:
        raise DatasetError(f"{file}: no such file") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise DatasetError(f"{file}: is not a readable parquet file ({error})") from error
    schema = parquet.schema_arrow
    spelled = spellings(schema)
    for column in required:
        if column not in spelled:
            raise DatasetError(
                f"{file}: lacks the column '{column}' (it has: {', '.join(schema.names)}); "
                "see README, 'Your own data', for the layout"
            )
        found = schema.field(spelled[column]).type
        if column in _KINDS and not _is_of_kind(column, found):
            raise DatasetError(
                f"{file}: the column '{spelled[column]}' is {found}; it must be {_KINDS[column]}"
            )
    return parquet


def spellings(schema: pa.Schema) -> Mapping[str, str]:
    """The columns' names with hyphens, to how the file spells them."""
    return {name.replace("_", "-"): name for name in schema.names}


def stream_rows(
    files: Sequence[str], required: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """The rows of several files, a batch in memory at a time, only these columns of them."""
    for file in files:
        with open_parquet(file, required) as parquet:
            yield from rows_of(parquet, (*required, *optional))


def rows_of(
    parquet: pq.ParquetFile, columns: Sequence[str], row_group: int | None = None
) -> Iterator[dict[str, Any]]:
    """The rows of an open file, or of one row group, as dicts of those `columns` that it has."""
    spelled = spellings(parquet.schema_arrow)
    columns = [name for name in columns if name in spelled]
    batches = parquet.iter_batches(
        _IMAGES_PER_BATCH if "image" in columns else _ROWS_PER_BATCH,
        row_groups=None if row_group is None else [row_group],
        columns=[spelled[name] for name in columns],
    )
    for batch in batches:
        values = [batch.column(spelled[name]).to_pylist() for name in columns]
        for row in zip(*values, strict=True):
            yield dict(zip(columns, row, strict=True))


def image_bytes(value: Mapping[str, Any] | None) -> bytes:
    """The bytes of an `image` cell; empty when there are none."""
    return (value or {}).get("bytes") or b""


def _is_of_kind(column: str, found: pa.DataType) -> bool:
    types = pa.types
    if types.is_null(found):
        return True  # a column of nulls only: empty, not wrong
    is_text = types.is_string(found) or types.is_large_string(found)
    if _KINDS[column] == "text":
        return is_text
    if _KINDS[column] == "numbers":
        return types.is_integer(found) or types.is_floating(found)
    if column == "image":
        return types.is_struct(found) and found.get_field_index("bytes") >= 0
    return is_text or types.is_integer(found)


def _open_remote(file: str) -> Any:
    file_system, inner = url_to_fs(file)
    return file_system.open(inner, "rb")
