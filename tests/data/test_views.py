"""Views in columns give what plain loops over ids give."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from colintern.data.entities import Query
from colintern.data.judgements import Judgements
from colintern.data.text import normalised
from tests.helpers import pairs_of, view_of

PAGES = st.sampled_from([f"p{number}" for number in range(8)])
QUERIES = st.sampled_from([f"q{number}" for number in range(6)])
JUDGED = st.dictionaries(QUERIES, st.dictionaries(PAGES, st.integers(1, 3), min_size=1))


@settings(deadline=None)
@given(
    judged=JUDGED,
    pages=st.sets(PAGES),
    texts=st.dictionaries(QUERIES, st.sampled_from(["one", "ONE ", "two", "e\u0301", "\xe9"])),
    encoded=st.sets(QUERIES),
)
def test_pairs_and_positives_are_those_of_plain_loops(judged, pages, texts, encoded):
    """Pairs in another order, or a page that answers an equal question left out."""
    queries = [Query(query_id, text) for query_id, text in texts.items()]
    view = view_of(list(pages), queries, judged, encoded=list(encoded))
    asked = sorted(texts.keys() & judged.keys() & encoded)
    assert view.query_ids.to_pylist() == asked
    assert view.texts.to_pylist() == [texts[query_id] for query_id in asked]
    some = view.asked_at(np.arange(1, len(asked), 2))
    assert some.ids.to_pylist() == asked[1::2]
    assert some.texts.to_pylist() == view.texts.to_pylist()[1::2]
    assert pairs_of(view) == [
        (query, page) for query in asked for page in sorted(judged[query]) if page in pages
    ]
    in_order = sorted(pages)
    for index, query_id in enumerate(asked):
        answers = {
            page
            for other in texts.keys() & judged.keys()
            if normalised(texts[other]) == normalised(texts[query_id])
            for page in judged[other]
        }
        found = [in_order[page] for page in view.positives[index]]
        assert found == sorted(answers & pages)


@settings(deadline=None)
@given(judged=JUDGED, kept=st.sets(QUERIES), gone=st.sets(PAGES))
def test_judgements_in_columns_are_a_mapping(judged, kept, gone):
    """A query's judgements that become those of the next one when others are taken out."""
    columns = Judgements.from_mapping(judged)
    assert columns == judged
    assert 1 not in columns  # as in any mapping, and no TypeError
    assert list(columns) == sorted(judged)
    rows = [row for row, query_id in enumerate(columns) if query_id in kept]
    assert columns.of_queries(np.array(rows, np.int64)) == {
        query: judged[query] for query in judged.keys() & kept
    }
    page_ids = columns.page_ids.take(pa.array(columns.pages)).to_pylist()
    is_kept = np.array([page not in gone for page in page_ids], bool)
    left = {
        query: {page: score for page, score in found.items() if page not in gone}
        for query, found in judged.items()
    }
    assert columns.where(is_kept) == {query: found for query, found in left.items() if found}
