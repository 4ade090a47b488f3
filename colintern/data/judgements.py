"""How relevant a page is to a query: the one rule by which judgements are read.

A score is a whole number: grades, of which 1 and more are relevant. What a float means is for the
user to say: with `relevant_from` a score from there on becomes 1, any other 0. Nothing is rounded,
and a pair that is judged twice is judged equally, whatever the order of the rows.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from colintern.data.entities import Judgement
from colintern.data.parquet import stream_rows
from colintern.errors import DatasetError

_MAX_SCORE = 1_000_000  # grades are small; the column of a dataset folder has 32 bits
_COLUMNS = ("query-id", "corpus-id", "score")


def read_score(value: Any, relevant_from: float | None = None) -> int | None:
    """What a score counts; None when it cannot be read (`score_problem` says why).

    Args:
        value: as it stands in the data.
        relevant_from: from which score on a page is relevant; None takes whole numbers as they are.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not isfinite(value):
        return None
    if relevant_from is not None:
        return int(value >= relevant_from)
    return int(value) if value == int(value) and abs(value) <= _MAX_SCORE else None


def score_problem(value: Any, relevant_from: float | None = None) -> str:
    """Why `read_score` refuses a value, in a few words."""
    if relevant_from is not None:
        return f"is not a finite number: {value}"
    return f"is not a whole number up to {_MAX_SCORE:,}: {value}"


def read_judgements(files: Sequence[str], relevant_from: float | None = None) -> list[Judgement]:
    """The judgements of parquet files, each pair once, in the order of the rows.

    Args:
        files: with the columns of `qrels/`.
        relevant_from: as in `read_score`.

    Raises:
        DatasetError: a score cannot be read, or a pair is judged twice, with two scores; the
            message names file, row and value.
    """
    scores: dict[tuple[str, str], int] = {}
    for file in files:
        for number, row in enumerate(stream_rows([file], _COLUMNS), 1):
            pair, value = (str(row["query-id"]), str(row["corpus-id"])), row["score"]
            score = read_score(value, relevant_from)
            if score is None:
                raise DatasetError(
                    f"{file}: the column 'score' has a value in row {number:,} that "
                    f"{score_problem(value, relevant_from)}; mend it{_remedy(relevant_from)}"
                )
            before = scores.setdefault(pair, score)
            if before != score:
                raise DatasetError(
                    f"{file}: row {number:,} judges 'corpus-id' {pair[1]} for 'query-id' {pair[0]} "
                    f"with score {score}, and a row before it with {before}; keep one of them"
                )
    return [Judgement(*pair, score) for pair, score in scores.items()]


def _remedy(relevant_from: float | None) -> str:
    if relevant_from is not None:
        return ""
    return (
        ", or say from which score on a page is relevant: relevant_from of the dataset, "
        "--relevant-from of colintern ingest"
    )
