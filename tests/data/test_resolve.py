"""A dataset that has to be written first is written once, by whoever comes first."""

import json
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from colintern import storage
from colintern.config.schema import DatasetConfig
from colintern.data.canonical import CanonicalDataset, largest_row_group_bytes
from colintern.data.entities import Query
from colintern.data.importing import import_dataset
from colintern.data.resolve import FoundSource, find_source, made
from colintern.data.writing import write_questions
from colintern.errors import DatasetError, LeaseLostError
from colintern.records import lease
from tests.data.helpers import pages_of, resolve, write
from tests.helpers import make_corpus, png


def test_a_second_driver_waits_and_writes_nothing(tmp_path, caplog):
    """Two runs that import the same dataset at once, and write into each other's files."""
    folder = tmp_path / "made"
    written = []

    def write() -> None:
        written.append("again")

    caplog.set_level("INFO", "colintern")
    with lease.held(str(folder), wait=True):
        second = threading.Thread(target=made, args=(FoundSource(str(folder), write),))
        second.start()
        while "to write this dataset" not in caplog.text:
            second.join(0.05)
            assert second.is_alive()
        (folder / "dataset.json").write_text("{}")  # the first driver is done
    second.join()
    assert written == []
    assert made(FoundSource(str(folder), write)) == str(folder)
    assert written == []


def test_a_dataset_is_written_under_its_lease(tmp_path):
    """A lease that is taken and given back before anything is written."""
    folder = str(tmp_path / "made")
    seen = []
    made(FoundSource(folder, lambda: seen.append(lease.is_held(folder))))
    assert seen == [True]
    assert not lease.is_held(folder)


def test_a_driver_that_was_taken_over_does_not_say_that_a_dataset_is_done(tmp_path, monkeypatch):
    """A dataset that passes for finished while another driver writes it anew."""
    source = find_source(DatasetConfig(path="demo-small", split="dev", name="d"), str(tmp_path))
    folder = Path(source.folder)

    def taken_over(*_) -> dict[str, int]:
        (path,) = folder.glob("lease-*")
        path.rename(folder / "lease-000002.json")
        return {"pages": 1}

    monkeypatch.setattr("colintern.data.resolve.write_demo_files", taken_over)
    with pytest.raises(LeaseLostError, match="taken over"):
        made(source)
    assert [path.name for path in folder.iterdir()] == ["lease-000002.json"]


@pytest.mark.parametrize("where", ["here", "s3"])
def test_a_source_that_changes_while_it_is_imported_is_told(tmp_path, monkeypatch, request, where):
    """Half of one state of a dataset and half of another, kept for good under one name."""
    root = str(tmp_path) if where == "here" else request.getfixturevalue("bucket")
    for path in Path(make_corpus(tmp_path / "set", 4, 4).path).rglob("*.parquet"):
        name = path.relative_to(tmp_path).as_posix()
        storage.write_bytes(f"{root}/{name}", path.read_bytes())
    dataset = DatasetConfig(path=f"{root}/set", name="set", language="en")

    def changed(*arguments) -> dict[str, int]:
        counts = import_dataset(*arguments)
        write_questions(f"{root}/set", [Query("q9", "another question", "en", None)], [])
        return counts

    monkeypatch.setattr("colintern.data.resolve.import_dataset", changed)
    with pytest.raises(DatasetError, match=r"set: the dataset changed while it was copied to"):
        made(find_source(dataset, f"{root}/made"))
    monkeypatch.undo()
    assert storage.exists(made(find_source(dataset, f"{root}/made")) + "/dataset.json")


def test_large_row_groups_are_cut_once(tmp_path, monkeypatch):
    """A gigabyte read by every worker for every few pages of a corpus in one row group."""
    make_corpus(tmp_path / "set", num_pages=70, num_queries=70)
    before = CanonicalDataset(str(tmp_path / "set"))
    corpus = tmp_path / "set" / "corpus" / "part-00000.parquet"
    pq.write_table(pq.read_table(corpus), corpus, row_group_size=70)
    size = largest_row_group_bytes([str(corpus)])
    monkeypatch.setattr("colintern.data.resolve._ROW_GROUP_BYTES", size)
    assert resolve(tmp_path / "set", tmp_path).path == before.path
    monkeypatch.setattr("colintern.data.resolve._ROW_GROUP_BYTES", size - 1)
    cut = resolve(tmp_path / "set", tmp_path)
    assert cut.path.startswith(str(tmp_path / "made"))
    assert largest_row_group_bytes(cut.corpus_files) < size
    assert {name: page.image for name, page in pages_of(cut).items()} == {
        name: page.image for name, page in pages_of(before).items()
    }
    assert (cut.queries(), cut.judgements()) == (before.queries(), before.judgements())


def test_a_dataset_is_brought_in_once_and_again_when_it_has_changed(tmp_path, monkeypatch):
    """A corpus copied at every start, or never again."""
    rows = tmp_path / "set" / "rows.parquet"
    write(rows, query=["a"], image=[png(1)])
    first = resolve(tmp_path / "set", tmp_path)
    details = json.loads((Path(first.path) / "dataset.json").read_text())
    assert (details["pages"], details["queries"], details["layout"]) == (1, 1, "rows")

    def never(*_):
        raise AssertionError("it stands there already")

    with monkeypatch.context() as patch:
        patch.setattr("colintern.data.resolve.import_dataset", never)
        assert resolve(tmp_path / "set", tmp_path).path == first.path
    write(rows, query=["a", "b"], image=[png(1), png(2)])
    second = resolve(tmp_path / "set", tmp_path)
    assert second.path != first.path
    assert len(second.queries()) == 2
