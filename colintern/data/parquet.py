"""Parquet files on any storage: columns checked when a file is opened, rows streamed in batches.

A file is read through a small buffer, a few rows at a time. So memory is bounded by Parquet's data
pages, not by the row group: reading needs about two data pages of a column. pyarrow's writer puts
up to 1,024 images into one data page, and its reader always takes a whole one.

Columns are known by their names with hyphens (`corpus-id`); files may spell them with underscores
(`corpus_id`), as ViDoRe v3 does, or as mteb's copies do: `id` and `text` in each part.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from colintern import storage
from colintern.data.compute import pc
from colintern.data.text import bad_id_reason
from colintern.errors import DatasetError, one_line

_ROWS_PER_BATCH = 4_096  # of text; images are read a few at a time
_IMAGES_PER_BATCH = 8
_BUFFER_BYTES = 2**20  # a column; without a buffer pyarrow reads the whole column chunk
_KINDS = {
    "corpus-id": "text or whole numbers",
    "query-id": "text or whole numbers",
    "doc-id": "text or whole numbers",
    "query": "text",
    "language": "text",
    "source": "text",
    "image-filename": "text",
    "pixels-sha256": "text",
    "score": "numbers",
    "image": "a struct with bytes",
}
# Names that mteb's copies have. What the parts call `id` and `text` is told by the part.
_OTHER_NAMES = {"corpus-id": ("id", "-id"), "query-id": ("id", "-id"), "query": ("text",)}
_IDS = ("corpus-id", "query-id", "doc-id")
_NO_PART_OF_AN_ID = r"[\x00-\x1f\x7f-\x{9f}]"  # as in `data.text`; Arrow has no surrogates
_NEVER_EMPTY = ("corpus-id", "query-id", "score")


def open_parquet(
    file: str, required: Sequence[str], optional: Sequence[str] = ()
) -> pq.ParquetFile:
    """Open a parquet file on any storage and check its columns.

    Raises:
        DatasetError: it is not parquet, lacks a required column, or a column is of another type.
    """
    with storage.named_errors(file):
        try:
            source = file if storage.is_local(file) else storage.open_file(file)
            parquet = pq.ParquetFile(source, buffer_size=_BUFFER_BYTES, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            if not _is_damage(error):
                raise
            raise DatasetError(
                f"{file}: is not a readable parquet file ({one_line(error)})"
            ) from error
    schema = parquet.schema_arrow
    spelled = _known_columns(schema)
    for column in required:
        if column not in spelled:
            raise DatasetError(
                f"{file}: lacks the column '{column}' (it has: {', '.join(schema.names)}); "
                "see docs/data.md, 'Published datasets', for the layout"
            )
    for column in (*required, *optional):
        found = schema.field(spelled[column]).type if column in spelled else pa.null()
        if column in _KINDS and not _is_of_kind(column, found):
            raise DatasetError(
                f"{file}: the column '{spelled[column]}' is {found}; it must be {_KINDS[column]}"
            )
    return parquet


def spellings(schema: pa.Schema) -> Mapping[str, str]:
    """From each column's name with hyphens to its spelling in the file."""
    return {name.replace("_", "-"): name for name in schema.names}


def _known_columns(schema: pa.Schema) -> Mapping[str, str]:
    """The same, also for columns that the file has under another name."""
    spelled = spellings(schema)
    others = {
        name: spelled[other]
        for name, names in _OTHER_NAMES.items()
        for other in names
        if other in spelled
    }
    return {**others, **spelled}


def stream_rows(
    files: Sequence[str], required: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """The rows of several files, these columns only; one batch at a time is in memory.

    Raises:
        DatasetError: as `open_parquet` and `rows_of`.
    """
    for file in files:
        with open_parquet(file, required, optional) as parquet:
            yield from rows_of(parquet, file, (*required, *optional))


def stream_columns(
    files: Sequence[str], required: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[pa.RecordBatch]:
    """The rows that `stream_rows` gives, in batches of columns: no Python object is made of them.

    Yields:
        The columns asked for, by their names with hyphens: ids and texts as strings, what the file
        lacks as nulls.

    Raises:
        DatasetError: as `stream_rows`, with the same message.
    """
    names = (*required, *optional)
    for file in files:
        with open_parquet(file, required, optional) as parquet:
            spelled = _known_columns(parquet.schema_arrow)
            there = {name: spelled[name] for name in names if name in spelled}
            num_before = 0
            for batch in _batches(parquet, file, _ROWS_PER_BATCH, None, list(there.values())):
                columns = {
                    name: _checked_column(batch, file, name, of, num_before)
                    for name, of in there.items()
                }
                num_before += batch.num_rows
                nothing = pa.nulls(batch.num_rows, pa.string())
                arrays = [columns.get(name, nothing) for name in names]
                yield pa.RecordBatch.from_arrays(arrays, list(names))


def num_rows(files: Sequence[str]) -> int:
    """How many rows files have; only their ends are read."""
    total = 0
    for file in files:
        with open_parquet(file, []) as parquet:
            total += parquet.metadata.num_rows
    return total


def rows_of(
    parquet: pq.ParquetFile, file: str, columns: Sequence[str], row_group: int | None = None
) -> Iterator[dict[str, Any]]:
    """The rows of an open file, or of one row group, as dicts of those `columns` that it has.

    Raises:
        DatasetError: a column is damaged, or has an empty cell where each row needs a value.
    """
    spelled = _known_columns(parquet.schema_arrow)
    columns = [name for name in columns if name in spelled]
    size = _IMAGES_PER_BATCH if "image" in columns else _ROWS_PER_BATCH
    groups = None if row_group is None else [row_group]
    num_before = sum(parquet.metadata.row_group(g).num_rows for g in range(row_group or 0))
    for batch in _batches(parquet, file, size, groups, [spelled[name] for name in columns]):
        values = [_values(batch, file, name, spelled[name], num_before) for name in columns]
        num_before += batch.num_rows
        for row in zip(*values, strict=True):
            yield dict(zip(columns, row, strict=True))


def image_bytes(value: Mapping[str, Any] | None) -> bytes:
    """The bytes of an `image` cell; empty when there are none."""
    return (value or {}).get("bytes") or b""


def _batches(
    parquet: pq.ParquetFile,
    file: str,
    size: int,
    row_groups: Sequence[int] | None,
    columns: Sequence[str],
) -> Iterator[pa.RecordBatch]:
    batches = parquet.iter_batches(size, row_groups=row_groups, columns=columns)
    while True:
        with storage.named_errors(file):
            try:
                batch = next(batches, None)
            except (pa.ArrowException, OSError) as error:
                if not _is_damage(error):
                    raise
                if len(columns) > 1:
                    for column in columns:  # the damaged one fails alone too, and is named
                        deque(_batches(parquet, file, size, row_groups, [column]), maxlen=0)
                raise DatasetError(
                    f"{file}: the column '{', '.join(columns)}' is damaged ({one_line(error)}); "
                    "download or write the file again"
                ) from error
        if batch is None:
            return
        yield batch


def _is_damage(error: Exception) -> bool:
    """Whether the file is at fault, and not its storage.

    pyarrow raises its own errors, or a bare `OSError`, about what it cannot decode; errors of
    storage are of a subclass or have a number.
    """
    return isinstance(error, pa.ArrowException) or (type(error) is OSError and error.errno is None)


def _values(
    batch: pa.RecordBatch, file: str, column: str, spelled: str, num_before: int
) -> list[Any]:
    """The cells of one column, checked; `num_before` is the number of rows before them."""
    array = batch.column(spelled)
    if column in _NEVER_EMPTY and array.null_count:
        number = num_before + array.is_null().index(True).as_py() + 1
        raise DatasetError(
            f"{file}: the column '{spelled}' has an empty cell in row {number:,}; every row needs "
            "a value"
        )
    try:
        values = array.to_pylist()
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{file}: the column '{spelled}' has text that is not UTF-8 ({one_line(error)}); "
            "download or write the file again"
        ) from error
    if column in _IDS:
        _check_ids(values, file, spelled)
    return values


def _checked_column(
    batch: pa.RecordBatch, file: str, column: str, spelled: str, num_before: int
) -> pa.Array:
    """One column, checked as `_values` checks it, which tells what is wrong; texts as strings."""
    array = batch.column(spelled)
    is_bad = column in _NEVER_EMPTY and array.null_count > 0
    if _KINDS[column] != "numbers" and not is_bad:
        try:
            array.validate(full=True)
            array = array.cast(pa.string())
        except pa.ArrowException:  # text that is not UTF-8
            is_bad = True
        else:
            is_bad = column in _IDS and _has_control_characters(array)
    if is_bad:
        _values(batch, file, column, spelled, num_before)
    return array


def _has_control_characters(ids: pa.Array) -> bool:
    return bool(pc.any(pc.match_substring_regex(ids, _NO_PART_OF_AN_ID)).as_py())


def _check_ids(values: Sequence[Any], file: str, spelled: str) -> None:
    for value in values:
        if isinstance(value, str) and (reason := bad_id_reason(value)):
            raise DatasetError(
                f"{file}: the column '{spelled}' has an id with {reason}: {value!a}; "
                "remove that character from the id"
            )


def _is_of_kind(column: str, found: pa.DataType) -> bool:
    types = pa.types
    if types.is_dictionary(found):
        found = found.value_type
    if types.is_null(found):
        return True  # a column of nulls only: empty, not wrong
    is_text = types.is_string(found) or types.is_large_string(found)
    if _KINDS[column] == "text":
        return is_text
    if _KINDS[column] == "numbers":
        return types.is_integer(found) or types.is_floating(found)
    if column == "image":
        if not types.is_struct(found) or found.get_field_index("bytes") < 0:
            return False
        return found.field("bytes").type in (pa.binary(), pa.large_binary(), pa.null())
    return is_text or types.is_integer(found)
