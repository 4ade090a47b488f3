"""A dataset that has to be written first is written once, by whoever comes first."""

import threading
from pathlib import Path

import pytest

from colintern import storage
from colintern.config.schema import DatasetConfig
from colintern.data.entities import Query
from colintern.data.importing import import_dataset
from colintern.data.resolve import FoundSource, find_source, made
from colintern.data.writing import write_questions
from colintern.errors import DatasetError, LeaseLostError
from colintern.records import lease
from tests.helpers import make_corpus


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
    with pytest.raises(DatasetError, match=r"set: the dataset changed while it was brought into"):
        made(find_source(dataset, f"{root}/made"))
    monkeypatch.undo()
    assert storage.exists(made(find_source(dataset, f"{root}/made")) + "/dataset.json")
