"""Dataset folders that are read page by page."""

import pyarrow.parquet as pq

from colintern.data.entities import Page
from colintern.data.writing import corpus_table, parquet_bytes


def test_large_pages_are_written_in_small_row_groups(tmp_path, monkeypatch):
    """64 scans of 20 megabytes in one row group of our own."""
    monkeypatch.setattr("colintern.data.writing._BYTES_PER_ROW_GROUP", 1_000)
    pages = [Page(f"{number:02d}", bytes(400)) for number in range(10)]
    (tmp_path / "a.parquet").write_bytes(parquet_bytes(corpus_table(pages)))
    assert pq.read_metadata(tmp_path / "a.parquet").num_row_groups == 5
