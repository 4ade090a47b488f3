"""Tables of a store are read in the thread that asks."""

import io
import threading

import pyarrow as pa
import pyarrow.parquet as pq

from colintern import storage
from colintern.evaluation.results import SCHEMA, ranked_queries, read_results
from colintern.features.tables import read_column


class _Watched(io.BytesIO):
    """A file that knows which threads have read it."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.readers: set[int] = set()

    def read(self, size: int | None = -1, /) -> bytes:
        self.readers.add(threading.get_ident())
        return super().read(size)


def test_no_thread_of_arrow_reads_a_python_file(tmp_path, monkeypatch):
    """One that still holds it when the process ends aborts it: `ls` did, once in 40 times."""
    path = tmp_path / "table.parquet"
    table = pa.table([["q", "r"], ["a", "b"], [0.5, 0.25], [1, 1]], schema=SCHEMA)
    pq.write_table(table, path)
    opened: list[_Watched] = []

    def open_watched(content: bytes) -> _Watched:
        opened.append(_Watched(content))
        return opened[-1]

    monkeypatch.setattr(storage, "open_file", lambda _: open_watched(path.read_bytes()))
    monkeypatch.setattr("colintern.evaluation.results.io.BytesIO", open_watched)
    assert read_column("table", "page_id").to_pylist() == ["a", "b"]
    assert list(ranked_queries("table", 1)) == [("q", ["a"]), ("r", ["b"])]
    assert read_results(str(path)) == table
    assert [file.readers for file in opened] == [{threading.get_ident()}] * 3
