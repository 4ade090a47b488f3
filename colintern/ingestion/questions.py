"""The queries file: each query with the page that answers it, by file and page number or by id."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from colintern.data.drafted import source_of
from colintern.data.entities import Judgement, Query
from colintern.data.equal_questions import EqualQuestions, Key
from colintern.data.judgements import read_score, score_problem
from colintern.data.text import bad_query_reason
from colintern.errors import DatasetError
from colintern.ingestion.findings import BadItem
from colintern.ingestion.page_names import BadRowError, PageNames
from colintern.ingestion.question_rows import COLUMNS, read_rows

_SHOWN_ROWS = 3  # in an error, which is one line


@dataclass(frozen=True)
class Questions:
    """What a queries file holds.

    Attributes:
        queries: merged where their texts are equal.
        judgements: of them.
        bad: the rows that are not used, with their reasons.
        num_rows: all of them.
    """

    queries: list[Query]
    judgements: list[Judgement]
    bad: list[BadItem]
    num_rows: int

    def check_usable(self, path: str) -> None:
        """Make sure that there is a question that has an answer.

        Raises:
            DatasetError: there is none; the first rows are named with their reasons.
        """
        if any(found.score >= 1 for found in self.judgements):
            return
        reasons = [item.line().removeprefix(f"{path}, ") for item in self.bad[:_SHOWN_ROWS]]
        if len(self.bad) > _SHOWN_ROWS:
            reasons.append(f"and {len(self.bad) - _SHOWN_ROWS:,} more")
        if not self.bad:
            reasons = ["no score is 1 or more, which makes a page an answer"]
        raise DatasetError(
            f"{path}: not one of its rows can be used: {'; '.join(reasons)}; correct them, and run "
            "the same command again"
        )


@dataclass(frozen=True)
class _Judged:
    """A good row: its query, the page that it names, and the score."""

    line: int
    query: Key
    page_id: str
    score: int


def read_questions(path: str, names: PageNames, relevant_from: float | None = None) -> Questions:
    """The queries, merged where their texts are equal, and their judgements.

    Args:
        path: a queries file, see `read_rows`: `query`, `file` and `page`, or `id`; optional
            `language`, `source`, `score` (1 when left out, or an empty cell), and `drafted_from`,
            which becomes the source of a query that `colintern questions` has drafted, unless
            somebody has changed it.
        names: of the pages.
        relevant_from: from which score on a page is relevant; None takes whole numbers as they are.

    Raises:
        DatasetError: the file is missing, empty, cannot be parsed, or lacks the columns.
    """
    questions = EqualQuestions()
    judged: list[_Judged] = []
    bad: dict[int, str] = {}
    num_rows = 0
    for line, row in read_rows(path):
        num_rows += 1
        try:
            page_id, score = _judgement(row, names, relevant_from)
        except BadRowError as error:
            bad[line] = str(error)
            continue
        language, source, drafted_from = (
            str(row[name]) if row.get(name) else None
            for name in ("language", "source", "drafted_from")
        )
        if drafted_from and row["query"]:
            source = source_of(drafted_from, str(row["query"])) or source
        key = questions.add(row["query"], language, source)
        judged.append(_Judged(line, key, page_id, score))
    if not num_rows:
        raise DatasetError(f"{path}: has no query; remove --queries, or write rows of {COLUMNS}")
    ids = questions.ids()
    bad |= _judged_otherwise(judged, ids)
    kept = [row for row in judged if row.line not in bad]
    scores = {(ids[row.query], row.page_id): row.score for row in kept}
    return Questions(
        questions.queries(row.query for row in kept),
        [Judgement(query, page, score) for (query, page), score in scores.items()],
        [BadItem(f"{path}, line {line}", None, bad[line]) for line in sorted(bad)],
        num_rows,
    )


def _judged_otherwise(judged: Sequence[_Judged], ids: Mapping[Key, str]) -> dict[int, str]:
    """The rows that judge a pair differently: which one is right is unknown."""
    pairs: dict[tuple[str, str], list[_Judged]] = {}
    for row in judged:
        pairs.setdefault((ids[row.query], row.page_id), []).append(row)
    reasons = {}
    for (_, page_id), rows in pairs.items():
        if len({row.score for row in rows}) > 1:
            told = ", ".join(f"{row.score} on line {row.line}" for row in rows)
            reasons |= {
                row.line: f"it is judged more than once for {page_id}: {told}; keep one of them"
                for row in rows
            }
    return reasons


def _judgement(
    row: Mapping[Any, Any], names: PageNames, relevant_from: float | None
) -> tuple[str, int]:
    """The page that a row names, and its score.

    Raises:
        BadRowError: the row is bad.
    """
    if reason := _bad_row_reason(row):
        raise BadRowError(reason)
    page_id = names.find(row)
    score = read_score(row["score"], relevant_from) if "score" in row else 1
    if score is None:
        raise BadRowError(f"its score {score_problem(row['score'], relevant_from)}")
    return page_id, score


def _bad_row_reason(row: Mapping[Any, Any]) -> str | None:
    """Why a row is bad, whatever page it names."""
    text = row.get("query") or ""
    if not isinstance(text, str):
        return f"its query is not text: {text}"
    if None in row:
        return "it has more values than there are columns: put quotes around its commas"
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "it holds half a character (a lone surrogate)"
    return bad_query_reason(text)
