"""Queries in columns: the same ones can be asked as by the rule for one text."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import example, given, settings
from hypothesis import strategies as st

from colintern.data.queries import Queries, read_queries
from colintern.data.text import MAX_QUERY_CHARACTERS, bad_query_reason

TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


def _read(path: Path, ids: list, texts: list) -> Queries:
    pq.write_table(pa.table({"query-id": ids, "query": pa.array(texts, pa.string())}), path)
    return read_queries([str(path)])


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(TEXTS, max_size=12))
@example(texts=["\x1c", "\u2003", "\u200b", "\u3000 \t", "\u0301", "\x85", "👍", "", None])
@example(texts=["x" * MAX_QUERY_CHARACTERS, "x" * (MAX_QUERY_CHARACTERS + 1)])
def test_what_can_be_asked_is_what_the_rule_for_one_text_says(tmp_path_factory, texts):
    """A text of odd blanks that is asked, or one of a single mark that is not."""
    ids = [f"q{number:02d}" for number in range(len(texts))]
    found = _read(tmp_path_factory.mktemp("queries") / "q.parquet", ids, texts)
    reasons = {query_id: bad_query_reason(text) for query_id, text in zip(ids, texts, strict=True)}
    assert found.bad == {query_id: why for query_id, why in reasons.items() if why}
    asked = [query_id for query_id in ids if not reasons[query_id]]
    assert [query.query_id for query in found] == asked
    assert [query.text for query in found] == [texts[int(query_id[1:])] for query_id in asked]


def test_of_rows_with_one_id_the_last_counts(tmp_path):
    """A query asked by the text of one row and listed by that of another."""
    found = _read(tmp_path / "q.parquet", ["b", "a", "b", "b"], ["one", "two", "three", " "])
    assert [(query.query_id, query.text) for query in found] == [("a", "two"), ("b", "three")]
    assert found.bad == {"b": "empty query"}


def test_texts_that_a_column_of_strings_cannot_hold_are_read_alike(tmp_path, monkeypatch):
    """A dataset with 2 GB of questions, which an overflow of offsets ends."""
    ids, texts = ["b", "a", "b", "c"], ["one", "two", "three", " "]
    expected = _read(tmp_path / "q.parquet", ids, texts)
    monkeypatch.setattr("colintern.data.columns._MOST_STRING_BYTES", 0)
    found = _read(tmp_path / "q.parquet", ids, texts)
    assert found.ids.type == found.texts.type == pa.large_string()
    assert (list(found), found.bad) == (list(expected), expected.bad)
    rows = np.array([1])
    assert list(found.take(rows)) == list(expected.take(rows)) != []
