"""Ids in columns: found wherever they stand, in the order of their code points."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colintern.data.columns import find, in_order, joined, strings

IDS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), max_size=20)


@settings(deadline=None)
@given(known=IDS, wanted=IDS)
def test_find_is_that_of_a_plain_list(known, wanted):
    """An id that sorts by its UTF-16 units, is found beside itself, or is asked for twice."""
    _, ids = in_order(strings(sorted(set(known), reverse=True)))
    assert ids.to_pylist() == sorted(set(known))
    everything = [*wanted, *known, *wanted]
    expected = [sorted(set(known)).index(one) if one in known else -1 for one in everything]
    assert find(strings(everything), ids).tolist() == expected


def test_what_a_column_of_strings_cannot_hold_becomes_a_larger_one(monkeypatch):
    """A corpus with 2 GB of ids that ends in an offset overflow."""
    parts = [strings(["b", None]), strings(["é"])]
    assert joined(parts).type == pa.string()
    assert joined([]).equals(strings([]))
    monkeypatch.setattr("colintern.data.columns._MOST_STRING_BYTES", 0)
    assert joined(parts).type == pa.large_string()
    assert joined(parts).to_pylist() == ["b", None, "é"]


@pytest.mark.parametrize("known", [pa.string(), pa.large_string()])
@pytest.mark.parametrize("wanted", [pa.string(), pa.large_string()])
def test_ids_are_found_whatever_holds_them(known, wanted):
    """A column of 2 GB that is cast to a type that cannot hold it, or is not cast at all."""
    found = find(pa.array(["b", "c", "a"], wanted), pa.array(["a", "b"], known))
    assert found.tolist() == [1, -1, 0]
