"""The queries file: questions, and the page that answers each, by file and page number or by id."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from colintern import storage
from colintern.data.entities import Judgement, Query
from colintern.data.ingest.findings import Refusal
from colintern.data.ingest.parts import PageEntry
from colintern.data.text import normalised, query_problem
from colintern.errors import DatasetError

_COLUMNS = "query, and the page it belongs to: file and page (from 1), or id"


def read_questions(
    path: str, pages: Sequence[PageEntry]
) -> tuple[list[Query], list[Judgement], list[Refusal]]:
    """The queries, merged where their texts are equal, and their judgements.

    Args:
        path: CSV with a header, or JSONL, told apart by the ending: `query`, `file` and `page`, or
            `id`; optional `language`, `source`, `score` (1 when left out).
        pages: that were written.

    Returns:
        Queries, judgements, and the rows that were refused with their reasons.

    Raises:
        DatasetError: the file is missing, cannot be parsed, or lacks the columns.
    """
    by_id = {page.page_id: page.page_id for page in pages}
    by_place = {(page.doc_id, page.number): page.page_id for page in pages}
    queries: dict[str, Query] = {}
    judged: dict[tuple[str, str], int] = {}
    refused: list[Refusal] = []
    for row_number, row in enumerate(_rows(path), 1):
        text = row.get("query")
        page_id = _page(row, by_id, by_place)
        score = _score(row.get("score"))
        problem = query_problem(text if text is None else str(text))
        if problem is None and page_id is None:
            problem = f"its page is not in the dataset: {_named_page(row)}"
        if problem is None and score is None:
            problem = f"its score is not a number: {row.get('score')}"
        if problem is not None or page_id is None or score is None:
            refused.append(Refusal(f"query {row_number} of {path}", None, problem or ""))
            continue
        key = storage.sha256_of_bytes(normalised(str(text)).encode())[:16]
        language, source = (
            str(row[name]) if row.get(name) else None for name in ("language", "source")
        )
        queries.setdefault(key, Query(key, str(text), language, source))
        judged[key, page_id] = max(score, judged.get((key, page_id), 0))
    found = sorted(queries.values(), key=lambda query: query.query_id)
    return (
        found,
        [Judgement(query, page, score) for (query, page), score in judged.items()],
        refused,
    )


def _rows(path: str) -> Iterator[Mapping[str, Any]]:
    try:
        text = storage.read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: is not UTF-8 ({error}); save it as UTF-8") from error
    if path.lower().endswith(".csv"):
        csv.field_size_limit(10_000_000)
        reader = csv.DictReader(io.StringIO(text, newline=""))
        _check_columns(path, reader.fieldnames or [])
        try:
            yield from reader
        except csv.Error as error:
            raise DatasetError(f"{path}, line {reader.line_num}: {error}") from error
    elif path.lower().endswith((".jsonl", ".ndjson")):
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield _json_row(path, number, line)
    else:
        raise DatasetError(f"{path}: a queries file ends in .csv or .jsonl; with {_COLUMNS}")


def _json_row(path: str, number: int, line: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DatasetError(f"{path}, line {number}: is not JSON ({error})") from error
    if not isinstance(row, dict):
        raise DatasetError(f"{path}, line {number}: is not an object with {_COLUMNS}")
    _check_columns(path, list(row))
    return row


def _check_columns(path: str, names: Sequence[str]) -> None:
    if "query" not in names or not ("id" in names or "file" in names):
        raise DatasetError(f"{path}: needs {_COLUMNS}; it has: {', '.join(names)}")


def _page(
    row: Mapping[str, Any], by_id: Mapping[str, str], by_place: Mapping[tuple[str, int], str]
) -> str | None:
    if row.get("id"):
        return by_id.get(str(row["id"]))
    try:
        number = int(row.get("page") or 1)
    except (TypeError, ValueError):
        return None
    return by_place.get((str(row.get("file")), number))


def _named_page(row: Mapping[str, Any]) -> str:
    return str(row.get("id") or f"{row.get('file')}, page {row.get('page') or 1}")


def _score(value: Any) -> int | None:
    try:
        return 1 if value in (None, "") else int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None
