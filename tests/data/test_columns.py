"""Ids in columns: found wherever they stand, in the order of their code points."""

from hypothesis import given, settings
from hypothesis import strategies as st

from colintern.data.columns import find, in_order, strings

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
