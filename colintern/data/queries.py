"""The queries of a dataset, as columns."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from colintern.data.columns import in_order, joined, slices, strings
from colintern.data.compute import pc
from colintern.data.drafted import DRAFTED
from colintern.data.entities import Query
from colintern.data.parquet import stream_columns
from colintern.data.text import MAX_QUERY_CHARACTERS, bad_query_reason

# A text with one of these is not blank: letters, digits, punctuation, symbols, marks.
_VISIBLE = r"[\p{L}\p{N}\p{P}\p{S}\p{M}]"


@dataclass(frozen=True)
class Queries:
    """The queries that can be asked, sorted by id, and why others cannot.

    Attributes:
        ids: distinct, sorted by code point.
        texts: of each; never null.
        languages: of each, where it is known; a column of few distinct values, as is `sources`.
        sources: of each, where it is known.
        bad: id of a query that cannot be asked to the reason.
    """

    ids: pa.Array
    texts: pa.Array
    languages: pa.Array
    sources: pa.Array
    bad: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, queries: Iterable[Query]) -> "Queries":
        """Columns of these queries, all of which can be asked."""
        rows = sorted(queries, key=lambda query: query.query_id)
        return cls(
            strings([row.query_id for row in rows]),
            strings([row.text for row in rows]),
            strings([row.language for row in rows]).dictionary_encode(),
            strings([row.source for row in rows]).dictionary_encode(),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Query]:
        columns = (self.ids, self.texts, self.languages, self.sources)
        for parts in zip(*map(slices, columns), strict=True):
            for row in zip(*(part.to_pylist() for part in parts), strict=True):
                yield Query(*row)

    @property
    def num_drafted(self) -> int:
        """How many were drafted from the text of their pages, by what their sources say."""
        return pc.sum(pc.starts_with(self.sources.cast(pa.string()), DRAFTED)).as_py() or 0

    def take(self, rows: NDArray[np.int64]) -> "Queries":
        """Some of the queries, by their ascending indices."""
        if len(rows) == len(self):
            return self
        columns = (self.ids, self.texts, self.languages, self.sources)
        ids, texts, languages, sources = (column.take(pa.array(rows)) for column in columns)
        return Queries(ids, texts, languages, sources, self.bad)


def read_queries(files: Sequence[str]) -> Queries:
    """The queries of parquet files; of several rows with one id the last counts.

    Raises:
        DatasetError: as `stream_columns`.
    """
    parts: list[list[pa.Array]] = [[], [], [], []]
    bad: dict[str, str] = {}
    for batch in stream_columns(files, ["query-id", "query"], ["language", "source"]):
        reasons = _reasons(batch.column("query"))
        ids = batch.column("query-id")
        bad.update((ids[row].as_py(), reason) for row, reason in reasons.items())
        good = np.ones(len(batch), dtype=bool)
        good[list(reasons)] = False
        for column, part in zip(parts, batch.filter(pa.array(good)).columns, strict=True):
            column.append(part)
    ids, texts = map(joined, parts[:2])
    languages, sources = (
        pa.chunked_array(part, pa.string()).dictionary_encode().combine_chunks()
        for part in parts[2:]
    )
    order, ordered = in_order(ids)
    is_last = np.ones(len(order), dtype=bool)
    is_last[:-1] = pc.not_equal(ordered[1:], ordered[:-1]).to_numpy(zero_copy_only=False)
    rows = pa.array(order[is_last])
    ids, texts, languages, sources = (
        column.take(rows) for column in (ids, texts, languages, sources)
    )
    return Queries(ids, texts, languages, sources, bad)


def _reasons(texts: pa.Array) -> dict[int, str]:
    """The rows whose text cannot be asked, with the reason (`data.text.bad_query_reason`)."""
    is_visible = pc.match_substring_regex(texts, _VISIBLE).fill_null(False)
    is_short = pc.less_equal(pc.utf8_length(texts), MAX_QUERY_CHARACTERS).fill_null(False)
    doubtful = pc.invert(pc.and_(is_visible, is_short)).to_numpy(zero_copy_only=False)
    found = {int(row): bad_query_reason(texts[row].as_py()) for row in np.flatnonzero(doubtful)}
    return {row: reason for row, reason in found.items() if reason}
