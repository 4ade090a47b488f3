"""A corpus is listed in columns, whatever the order of its rows."""

from pathlib import Path

import pyarrow as pa
import pytest

from colintern.data import digests
from colintern.data.canonical import CanonicalDataset
from colintern.data.inventory import Inventory, inventory_of, read_inventory, table_of
from tests.helpers import make_corpus


def _listed(*groups: list[tuple[str, str | None, str | None]]) -> Inventory:
    """Pages as (id, hash of what they show, reason), by row group."""
    tables = []
    for rows in groups:
        ids, pixels, reasons = zip(*rows, strict=True)
        columns = {"id": ids, "sha256": ["ab" * 32] * len(ids), "pixels_sha256": pixels}
        sizes = {name: [1] * len(ids) for name in ("width", "height")}
        tables.append(table_of({**columns, "doc_id": ids, **sizes, "reason": reasons}))
    return inventory_of([("file", number) for number in range(len(groups))], tables)


def test_pages_are_sorted_and_know_where_they_stand():
    """A page that is read from another row than its own."""
    found = _listed([("b", None, None), ("é", None, None)], [("a", None, None), ("b", None, None)])
    assert found.ids.to_pylist() == ["a", "b", "b", "é"]
    places = [found.location(row) for row in range(4)]
    assert [(place.row_group, place.row) for place in places] == [(1, 0), (0, 0), (1, 1), (0, 1)]


def test_bad_pages_are_told_in_the_order_of_the_corpus():
    """An error that names other pages first than the corpus has first."""
    found = _listed([("b", None, "torn"), ("c", None, None)], [("a", None, "empty")])
    assert list(found.bad().items()) == [("b", "torn"), ("a", "empty")]


@pytest.mark.parametrize("told", [None, "", "not a hash", "AB" * 32, "é" * 32])
def test_what_is_no_hash_of_pixels_counts_as_none(told):
    """All pages with the same wrong text taken for one page."""
    found = _listed([("a", told, None), ("b", "cd" * 32, None)])
    assert digests.is_known(found.pixels).tolist() == [False, True]
    assert digests.texts_of(found.pixels).to_pylist()[1] == "cd" * 32


def test_a_corpus_without_bad_pages_has_none(tmp_path: Path):
    """Images counted as bad because nothing was found out about them."""
    found = read_inventory(CanonicalDataset(make_corpus(tmp_path, 5, 2).path).corpus_files)
    assert found.bad() == {}
    assert found.widths.tolist() == [32] * 5


def test_texts_that_a_column_of_strings_cannot_hold_are_listed_alike(monkeypatch):
    """A corpus with 2 GB of ids or document names, which an overflow of offsets ends."""
    groups = [[("b", None, "torn"), ("é", None, None)], [("a", None, None)]]
    expected = _listed(*groups)
    monkeypatch.setattr("colintern.data.columns._MOST_STRING_BYTES", 0)
    found = _listed(*groups)
    assert found.ids.type == found.doc_ids.type == pa.large_string()
    for name in ("ids", "doc_ids", "reasons"):
        assert getattr(found, name).to_pylist() == getattr(expected, name).to_pylist()
    assert found.bad() == expected.bad() == {"b": "torn"}
