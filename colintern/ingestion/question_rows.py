"""The rows of a queries file, CSV or JSONL, each with the line of the file on which it begins."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from colintern import storage
from colintern.errors import DatasetError

COLUMNS = "query, and the page it belongs to: file and page (from 1), or id"


def read_rows(path: str) -> Iterator[tuple[int, Mapping[Any, Any]]]:
    """The rows of a queries file.

    Args:
        path: CSV with a header (commas, semicolons or tabs between), or JSONL, told apart by the
            ending.

    Yields:
        The line of the file on which a row begins, from 1, and its values by their columns. Values
        that are more than there are columns stand under None, as `csv.DictReader` has them.

    Raises:
        DatasetError: the file is missing, cannot be parsed, or lacks the columns.
    """
    try:
        text = storage.read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: is not UTF-8 ({error}); save it as UTF-8") from error
    if path.lower().endswith(".csv"):
        yield from _csv_rows(path, text)
    elif path.lower().endswith((".jsonl", ".ndjson")):
        yield from _json_rows(path, text)
    else:
        raise DatasetError(f"{path}: a queries file ends in .csv or .jsonl; with {COLUMNS}")


def _csv_rows(path: str, text: str) -> Iterator[tuple[int, Mapping[Any, Any]]]:
    """A row may have several lines, as a value in quotes may have line breaks."""
    csv.field_size_limit(10_000_000)
    header = text.partition("\n")[0]
    between = max(",;\t", key=header.count)
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=between, skipinitialspace=True, strict=True)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        _check_columns(path, names)
        begins_at = reader.line_num + 1
        for values in reader:
            if values:
                yield begins_at, _csv_row(names, values)
            begins_at = reader.line_num + 1
    except csv.Error as error:
        raise DatasetError(
            f"{path}, line {reader.line_num}: {error}; correct its quotes"
        ) from error


def _csv_row(names: Sequence[str], values: Sequence[str]) -> dict[Any, Any]:
    """The values by their columns; an empty score counts as left out."""
    row: dict[Any, Any] = dict(zip(names, values, strict=False))
    if len(values) > len(names):
        row[None] = values[len(names) :]
    score = (row.pop("score", None) or "").strip()
    return {**row, "score": _number(score)} if score else row


def _number(text: str) -> float | str:
    """The number in a cell; text that is none stays text."""
    try:
        return float(text)
    except ValueError:
        return text


def _json_rows(path: str, text: str) -> Iterator[tuple[int, Mapping[Any, Any]]]:
    """The first row must have the columns of a queries file; later ones may lack some."""
    is_first = True
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DatasetError(f"{path}, line {number}: is not JSON ({error})") from error
        if not isinstance(row, dict):
            raise DatasetError(f"{path}, line {number}: is not an object with {COLUMNS}")
        if is_first:
            _check_columns(f"{path}, line {number}", list(row))
        is_first = False
        yield number, row


def _check_columns(path: str, names: Sequence[str]) -> None:
    if "query" not in names or not ("id" in names or "file" in names):
        raise DatasetError(f"{path}: needs {COLUMNS}; it has: {', '.join(names)}")
