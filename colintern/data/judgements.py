"""How relevant a page is to a query: the one rule by which judgements are read.

A score is a whole number: grades, of which 1 and more are relevant. What a float means is for the
user to say: with `relevant_from` a score from there on becomes 1, any other 0. Nothing is rounded,
and a pair that is judged twice is judged equally, whatever the order of the rows.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from colintern.data.columns import in_order, offsets_of, slices, strings
from colintern.data.compute import pc
from colintern.data.parquet import stream_columns, stream_rows
from colintern.errors import DatasetError

_MAX_SCORE = 1_000_000  # grades are small; the column of a dataset folder has 32 bits
_COLUMNS = ("query-id", "corpus-id", "score")
_EXACT_FLOAT = 2**53  # larger whole numbers are not compared with `relevant_from` as floats


@dataclass(frozen=True, eq=False)
class Judgements(Mapping[str, Mapping[str, int]]):
    """Query id to page id to score, sorted by id by code point, held in columns.

    Attributes:
        query_ids: the judged queries, sorted.
        offsets: the judgements of query q are those from `offsets[q]` up to `offsets[q + 1]`.
        page_ids: the judged pages, sorted; some may be of no query here.
        pages: of each judgement, the index of its page in `page_ids`; ascending in a query.
        scores: of each judgement.
    """

    query_ids: pa.Array
    offsets: NDArray[np.int64]
    page_ids: pa.Array
    pages: NDArray[np.int32]
    scores: NDArray[np.int32]

    @classmethod
    def of(cls, table: pa.Table) -> "Judgements":
        """Those of a table as `read_judgements` gives it."""
        query_ids, queries = _codes(table["query-id"])
        page_ids, pages = _codes(table["corpus-id"])
        rows = np.lexsort((pages, queries))
        counts = np.bincount(queries, minlength=len(query_ids))
        scores = table["score"].to_numpy()
        return cls(query_ids, offsets_of(counts), page_ids, pages[rows], scores[rows])

    @classmethod
    def from_mapping(cls, judgements: Mapping[str, Mapping[str, int]]) -> "Judgements":
        """The same judgements in columns."""
        rows = [(query, *found) for query, own in judgements.items() for found in own.items()]
        queries, pages, scores = zip(*rows, strict=True) if rows else ((), (), ())
        columns = [strings(queries), strings(pages), pa.array(scores, pa.int32())]
        made = cls.of(pa.table(columns, list(_COLUMNS)))
        ids = strings(sorted(judgements))  # also those of which nothing is left
        counts = [len(judgements[query_id]) for query_id in ids.to_pylist()]
        offsets = offsets_of(np.array(counts, np.int64))
        return cls(ids, offsets, made.page_ids, made.pages, made.scores)

    def __len__(self) -> int:
        return len(self.query_ids)

    def __iter__(self) -> Iterator[str]:
        for part in slices(self.query_ids):
            yield from part.to_pylist()

    def __contains__(self, query_id: object) -> bool:
        return self._row_of(query_id) >= 0

    def __getitem__(self, query_id: str) -> dict[str, int]:
        row = self._row_of(query_id)
        if row < 0:
            raise KeyError(query_id)
        return self.row(row)

    def _row_of(self, query_id: Any) -> int:
        """The index of a query in `query_ids`; -1 when it is not judged."""
        if not isinstance(query_id, str):
            return -1
        row = bisect_left(self.query_ids, query_id, key=lambda found: found.as_py())
        return row if row < len(self) and self.query_ids[row].as_py() == query_id else -1

    def row(self, row: int) -> dict[str, int]:
        """Page id to score of one query, by its index in `query_ids`."""
        own = slice(self.offsets[row], self.offsets[row + 1])
        ids = self.page_ids.take(pa.array(self.pages[own])).to_pylist()
        return dict(zip(ids, self.scores[own].tolist(), strict=True))

    @property
    def queries(self) -> NDArray[np.int64]:
        """Of each judgement, the index of its query in `query_ids`."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def table(self) -> pa.Table:
        """A row for each judgement, as `of` takes them."""
        columns = [
            self.query_ids.take(pa.array(self.queries)),
            self.page_ids.take(pa.array(self.pages)),
            pa.array(self.scores),
        ]
        return pa.table(columns, list(_COLUMNS))

    def of_queries(self, rows: NDArray[np.int64]) -> "Judgements":
        """Those of some queries only, by their ascending indices in `query_ids`."""
        counts = np.diff(self.offsets)
        is_kept = np.zeros(len(self), dtype=bool)
        is_kept[rows] = True
        kept = np.repeat(is_kept, counts)
        return Judgements(
            self.query_ids.take(pa.array(rows)),
            offsets_of(counts[rows]),
            self.page_ids,
            self.pages[kept],
            self.scores[kept],
        )

    def where(self, is_kept: NDArray[np.bool_]) -> "Judgements":
        """Some of the judgements, by one value for each; queries without any left are gone."""
        counts = np.bincount(self.queries[is_kept], minlength=len(self))
        left = np.flatnonzero(counts)
        return Judgements(
            self.query_ids.take(pa.array(left)),
            offsets_of(counts[left]),
            self.page_ids,
            self.pages[is_kept],
            self.scores[is_kept],
        )


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
    """Why `read_score` cannot read a value, in a few words."""
    if relevant_from is not None:
        return f"is not a finite number: {value}"
    return f"is not a whole number up to {_MAX_SCORE:,}: {value}"


def read_judgements(files: Sequence[str], relevant_from: float | None = None) -> pa.Table:
    """The judgements of parquet files, each pair once, in the order of the rows.

    Args:
        files: with the columns of `qrels/`.
        relevant_from: as in `read_score`.

    Returns:
        `query-id` and `corpus-id`, strings, and `score`, int32.

    Raises:
        DatasetError: a score cannot be read, or a pair is judged twice, with two scores; the
            message names file, row and value.
    """
    parts = []
    for batch in stream_columns(files, _COLUMNS):
        scores = _scores(batch.column("score"), relevant_from)
        if scores is None:
            _tell_first_problem(files, relevant_from)
        parts.append(batch.set_column(2, "score", scores))
    schema = pa.schema([*((name, pa.string()) for name in _COLUMNS[:2]), ("score", pa.int32())])
    table = pa.Table.from_batches(parts, schema).combine_chunks()
    first = _first_of_each_pair(table)
    if first is None:
        _tell_first_problem(files, relevant_from)
    return table if len(first) == len(table) else table.take(pa.array(first))


def _scores(column: pa.Array, relevant_from: float | None) -> pa.Array | None:
    """What a column of scores counts, int32, by the rule of `read_score`; None when one is bad."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_null(column.type):
        return pa.array([], pa.int32())  # a column of nulls only that has no row
    values = column.to_numpy(zero_copy_only=False)
    if np.issubdtype(values.dtype, np.floating):
        values = values.astype(np.float64)  # as Python reads them
        if not np.isfinite(values).all():
            return None
    elif relevant_from is not None and (abs(values.astype(object)) > _EXACT_FLOAT).any():
        counted = [read_score(value, relevant_from) for value in values.tolist()]
        return pa.array(counted, pa.int32())
    if relevant_from is not None:
        return pa.array((values >= relevant_from).astype(np.int32))
    is_grade = (values == np.trunc(values)) & (values <= _MAX_SCORE) & (values >= -_MAX_SCORE)
    return pa.array(values.astype(np.int32)) if is_grade.all() else None


def _first_of_each_pair(table: pa.Table) -> NDArray[np.int64] | None:
    """The rows, ascending, that judge a pair first; None where a later one judges it otherwise."""
    (_, queries), (page_ids, pages) = _codes(table["query-id"]), _codes(table["corpus-id"])
    pairs = queries.astype(np.int64) * max(1, len(page_ids)) + pages
    rows = np.argsort(pairs, kind="stable")
    is_again = np.zeros(len(rows), dtype=bool)
    is_again[1:] = pairs[rows[1:]] == pairs[rows[:-1]]
    scores = table["score"].to_numpy()[rows]
    again = np.flatnonzero(is_again)
    if (scores[again] != scores[again - 1]).any():
        return None
    return np.sort(rows[~is_again])


def _tell_first_problem(files: Sequence[str], relevant_from: float | None) -> NoReturn:
    """Read row by row what is known to be wrong somewhere.

    Raises:
        DatasetError: the first fault, with file, row and value.
    """
    scores: dict[tuple[str, str], int] = {}
    for file in files:
        for number, row in enumerate(stream_rows([file], _COLUMNS), 1):
            pair, value = (str(row["query-id"]), str(row["corpus-id"])), row["score"]
            score = read_score(value, relevant_from)
            if score is None:
                raise DatasetError(
                    f"{file}: the column 'score' has a value in row {number:,} that "
                    f"{score_problem(value, relevant_from)}; correct it{_remedy(relevant_from)}"
                )
            before = scores.setdefault(pair, score)
            if before != score:
                raise DatasetError(
                    f"{file}: row {number:,} judges 'corpus-id' {pair[1]} for 'query-id' {pair[0]} "
                    f"with score {score}, and a row before it with {before}; keep one of them"
                )
    raise AssertionError("the rows are as they must be")


def _remedy(relevant_from: float | None) -> str:
    if relevant_from is not None:
        return ""
    return (
        ", or say from which score on a page is relevant: relevant_from of the dataset, "
        "--relevant-from of colintern ingest"
    )


def _codes(column: pa.ChunkedArray) -> tuple[pa.Array, NDArray[np.int32]]:
    """The distinct strings of a column, sorted, and the index of each row's string in them."""
    encoded = pc.dictionary_encode(column).combine_chunks()
    order, ids = in_order(encoded.dictionary)
    index_of = np.empty(len(ids), dtype=np.int32)
    index_of[order] = np.arange(len(ids), dtype=np.int32)
    return ids, index_of[encoded.indices.to_numpy()]
