"""The queries file: each query with the page that answers it, by file and page number or by id."""

import csv
import io
import json
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from colintern import storage
from colintern.data.entities import Judgement, Query
from colintern.data.equal_questions import EqualQuestions, Key
from colintern.data.judgements import read_score, score_problem
from colintern.data.text import bad_query_reason, same_name
from colintern.errors import DatasetError
from colintern.ingestion.findings import BadItem
from colintern.ingestion.part_file import WrittenPage

_COLUMNS = "query, and the page it belongs to: file and page (from 1), or id"


@dataclass(frozen=True)
class _Judged:
    """A good row: its query, the page that it names, and the score."""

    number: int
    query: Key
    page_id: str
    score: int


def read_questions(
    path: str,
    pages: Sequence[WrittenPage],
    relevant_from: float | None = None,
    folders: Sequence[str] = (),
) -> tuple[list[Query], list[Judgement], list[BadItem]]:
    """The queries, merged where their texts are equal, and their judgements.

    Args:
        path: CSV with a header (commas, semicolons or tabs between), or JSONL, told apart by the
            ending: `query`, `file` and `page`, or `id`; optional `language`, `source`, `score` (1
            when left out, or an empty cell).
        pages: that were written.
        relevant_from: from which score on a page is relevant; None takes whole numbers as they are.
        folders: that may stand before the name of a file, although its page does not have them.

    Returns:
        Queries, judgements, and the bad rows with their reasons.

    Raises:
        DatasetError: the file is missing, empty, cannot be parsed, or lacks the columns.
    """
    named = _Named(pages, folders)
    questions = EqualQuestions()
    judged: list[_Judged] = []
    bad: dict[int, str] = {}
    row_number = 0
    for row_number, row in enumerate(_rows(path), 1):
        text = row.get("query") or ""
        page_id = named.find(row)
        score = read_score(row["score"], relevant_from) if "score" in row else 1
        reason = _bad_row_reason(row, text) or _bad_page_reason(row, page_id)
        if reason is None and score is None:
            reason = f"its score {score_problem(row['score'], relevant_from)}"
        if reason is not None or page_id is None or score is None:
            bad[row_number] = reason or ""
            continue
        language, source = (
            str(row[name]) if row.get(name) else None for name in ("language", "source")
        )
        key = questions.add(text, language, source)
        judged.append(_Judged(row_number, key, page_id, score))
    if not row_number:
        raise DatasetError(f"{path}: has no query; remove --queries, or write rows of {_COLUMNS}")
    ids = questions.ids()
    bad |= _judged_otherwise(judged, ids)
    kept = [row for row in judged if row.number not in bad]
    scores = {(ids[row.query], row.page_id): row.score for row in kept}
    return (
        questions.queries(row.query for row in kept),
        [Judgement(query, page, score) for (query, page), score in scores.items()],
        [BadItem(f"query {number} of {path}", None, bad[number]) for number in sorted(bad)],
    )


def _judged_otherwise(judged: Sequence[_Judged], ids: Mapping[Key, str]) -> dict[int, str]:
    """The rows that judge a pair differently: which one is right is unknown."""
    pairs: dict[tuple[str, str], list[_Judged]] = {}
    for row in judged:
        pairs.setdefault((ids[row.query], row.page_id), []).append(row)
    reasons = {}
    for (_, page_id), rows in pairs.items():
        if len({row.score for row in rows}) > 1:
            told = ", ".join(f"{row.score} in row {row.number}" for row in rows)
            reasons |= {
                row.number: f"it is judged more than once for {page_id}: {told}; keep one of them"
                for row in rows
            }
    return reasons


def _rows(path: str) -> Iterator[Mapping[str, Any]]:
    try:
        text = storage.read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: is not UTF-8 ({error}); save it as UTF-8") from error
    if path.lower().endswith(".csv"):
        yield from _csv_rows(path, text)
    elif path.lower().endswith((".jsonl", ".ndjson")):
        yield from _json_rows(path, text)
    else:
        raise DatasetError(f"{path}: a queries file ends in .csv or .jsonl; with {_COLUMNS}")


def _csv_rows(path: str, text: str) -> Iterator[Mapping[str, Any]]:
    csv.field_size_limit(10_000_000)
    header = text.partition("\n")[0]
    between = max(",;\t", key=header.count)
    lines = io.StringIO(text, newline="")
    reader = csv.DictReader(lines, delimiter=between, skipinitialspace=True, strict=True)
    try:
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or []]
        _check_columns(path, reader.fieldnames)
        for row in reader:
            score = (row.pop("score", None) or "").strip()
            yield {**row, "score": _number(score)} if score else row
    except csv.Error as error:
        raise DatasetError(
            f"{path}, line {reader.line_num}: {error}; correct its quotes"
        ) from error


def _number(text: str) -> float | str:
    """The number in a cell; text that is none stays text."""
    try:
        return float(text)
    except ValueError:
        return text


def _json_rows(path: str, text: str) -> Iterator[Mapping[str, Any]]:
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
            raise DatasetError(f"{path}, line {number}: is not an object with {_COLUMNS}")
        if is_first:
            _check_columns(f"{path}, line {number}", list(row))
        is_first = False
        yield row


def _check_columns(path: str, names: Sequence[str]) -> None:
    if "query" not in names or not ("id" in names or "file" in names):
        raise DatasetError(f"{path}: needs {_COLUMNS}; it has: {', '.join(names)}")


class _Named:
    """Pages by name, also if a system wrote `ü` as two characters and another as one."""

    def __init__(self, pages: Sequence[WrittenPage], folders: Sequence[str]) -> None:
        self._exact: dict[tuple[str, int | None], str] = {}
        self._similar: dict[tuple[str, int | None], set[str]] = {}
        for page in pages:
            for name, number in ((page.page_id, None), (page.doc_id, page.number)):
                self._exact[name, number] = page.page_id
                self._similar.setdefault((same_name(name), number), set()).add(page.page_id)
            for folder in folders:
                name = same_name(posixpath.join(folder, page.doc_id))
                self._similar.setdefault((name, page.number), set()).add(page.page_id)

    def find(self, row: Mapping[str, Any]) -> str | None:
        """The id of the page that a row names, by `id` or by `file` and `page`."""
        name, number = str(row.get("id") or row.get("file")), None
        if not row.get("id"):
            number = _page_number(row)
            if number is None:
                return None
        if found := self._exact.get((name, number)):
            return found
        similar = self._similar.get((same_name(name), number), set())
        return next(iter(similar)) if len(similar) == 1 else None


def _page_number(row: Mapping[str, Any]) -> int | None:
    """From 1, also as `3.0`, as spreadsheets write it; None if it is no whole number."""
    value = row.get("page")
    if value in (None, ""):
        return 1
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return int(number) if number.is_integer() and not isinstance(value, bool) else None


def _bad_row_reason(row: Mapping[Any, Any], text: Any) -> str | None:
    """Why a row is bad, whatever page it names."""
    if not isinstance(text, str):
        return f"its query is not text: {text}"
    if None in row:
        return "it has more values than there are columns: put quotes around its commas"
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "it holds half a character (a lone surrogate)"
    return bad_query_reason(text)


def _bad_page_reason(row: Mapping[str, Any], page_id: str | None) -> str | None:
    if page_id is not None:
        return None
    if row.get("id"):
        return f"its page is not in the dataset: {row['id']}"
    if not row.get("file"):
        return "it names no page"
    if _page_number(row) is None:
        return f"its page is not a number: {row['page']}"
    return f"its page is not in the dataset: {row['file']}, page {_page_number(row)}"
