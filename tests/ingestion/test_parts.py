"""Parts of a corpus: cut by pages and by bytes, written with little in memory."""

import weakref

import pyarrow.parquet as pq
import pytest

from colintern import storage
from colintern.data.entities import Page
from colintern.ingestion import RenderSettings
from colintern.ingestion.findings import BadItem
from colintern.ingestion.part_file import pages_of, read_part, save_part
from colintern.ingestion.parts import Part, origin_as_planned, plan_parts
from colintern.ingestion.sources import SourceFile

MIB = 2**20


def _file(name: str, num_bytes: int) -> SourceFile:
    return SourceFile(name, name, "pdf", "1", num_bytes)


@pytest.mark.parametrize(
    ("files", "pages"),
    [
        ([(f"a{number:02d}", 38, 1) for number in range(14)], [6, 6, 2]),  # scans of 38 MiB each
        ([("a", 1_000, 1), ("b", 1, 1), ("c", 1_000, 1)], [1, 1, 1]),  # a page is never cut
        ([("a", 640, 160)], [64, 64, 32]),  # 4 MiB a page: 256 MiB are full just then
        ([("a", 1_280, 160)], [32] * 5),
        ([("a", 0, 130)], [64, 64, 2]),
        ([("a", 0, 0), ("b", 0, 3)], [3]),
    ],
)
def test_parts_are_cut_by_pages_and_by_bytes(files, pages):
    """Two gigabytes of scans in one part, all of them lost to a kill, or one page in none or two.

    The plan is the same whenever it is made: else a killed ingest would begin anew.
    """
    counted = [(_file(name, size * MIB), num_pages) for name, size, num_pages in files]
    parts = plan_parts(counted, "corpus", RenderSettings())
    assert [part.num_pages for part in parts] == pages
    cut = [(piece.file, i) for part in parts for piece in part.pieces for i in _range(piece)]
    assert cut == [(file, index) for file, num_pages in counted for index in range(num_pages)]
    assert plan_parts(counted, "corpus", RenderSettings()) == parts


def _range(piece):
    assert piece.first < piece.last
    return range(piece.first, piece.last)


def test_a_part_is_written_as_its_pages_come(tmp_path, monkeypatch):
    """All pages of a part in memory, four times over: 5.2 GB in each process."""
    monkeypatch.setattr("colintern.ingestion.part_file._BYTES_PER_ROW_GROUP", 3_000)
    alive: list[weakref.ref] = []
    most = 0

    def pages():
        nonlocal most
        for number in range(20):
            page = Page(f"p{number:02d}", bytes([number]) * 1_000, "p", f"text {number}", number)
            alive.append(weakref.ref(page))
            yield page
            del page
            most = max(most, sum(ref() is not None for ref in alive))
            if number == 7:
                yield BadItem("p", 8, "blank")

    part = Part(str(tmp_path / "corpus" / "part.parquet"), (), RenderSettings())
    save_part(part, pages(), origin_as_planned(part))
    assert most <= 4
    assert pq.ParquetFile(part.path).num_row_groups == 7
    entries, bad = read_part(part.path)
    assert [entry.page_id for entry in entries] == [f"p{number:02d}" for number in range(20)]
    assert entries[3].picture == storage.sha256_of_bytes(bytes([3]) * 1_000)
    assert bad == [BadItem("p", 8, "blank")]
    found = list(pages_of(part.path))
    assert found[19] == Page("p19", bytes([19]) * 1_000, "p", "text 19", 19)
    assert found[20:] == bad


def test_a_part_that_fails_leaves_nothing(tmp_path):
    """Half a part that counts as one which is there already."""

    def pages():
        yield Page("a", b"x", "a")
        raise KeyboardInterrupt

    part = Part(str(tmp_path / "corpus" / "part.parquet"), (), RenderSettings())
    with pytest.raises(KeyboardInterrupt):
        save_part(part, pages(), origin_as_planned(part))
    assert list((tmp_path / "corpus").iterdir()) == []
