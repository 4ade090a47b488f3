"""Published layouts, untouched: nothing is lost, merged wrongly or read from the wrong split."""

import pytest

from colintern import log
from colintern.data.layouts import find_layout
from colintern.errors import DatasetError
from tests.data.helpers import pages_of, resolve, write
from tests.helpers import make_corpus, png


def test_one_split_of_several(tmp_path):
    """Test pages in the training corpus, because both splits stand in one folder."""
    for split, number in (("train", 1), ("test", 2)):
        write(
            tmp_path / "set" / "data" / f"{split}-00000-of-00001.parquet",
            query=[split],
            image=[png(number)],
        )
    with pytest.raises(DatasetError, match=r"several splits \(test, train\)"):
        resolve(tmp_path / "set", tmp_path)
    dataset = resolve(tmp_path / "set", tmp_path, split="train")
    assert [query.text for query in dataset.queries()] == ["train"]
    assert len(pages_of(dataset)) == 1
    with pytest.raises(DatasetError, match="has no split dev"):
        resolve(tmp_path / "set", tmp_path, split="dev")


def test_a_split_without_effect_is_told(tmp_path, monkeypatch):
    """Two datasets that are believed to be the train and the test split, and are the same pages."""
    told = []
    monkeypatch.setattr(log, "warn_once", lambda part, message: told.append(message))
    make_corpus(tmp_path / "set", num_pages=4, num_queries=4)
    write(tmp_path / "named" / "train.parquet", query=["a"], image=[png(1)])
    find_layout(str(tmp_path / "set"), None)
    find_layout(str(tmp_path / "named"), "train")
    assert told == []
    find_layout(str(tmp_path / "set"), "train")
    assert [line.split(": ")[0] for line in told] == [str(tmp_path / "set")]


def test_a_canonical_folder_is_read_where_it_stands(tmp_path):
    """A copy of a corpus that nobody asked for."""
    make_corpus(tmp_path / "set", num_pages=4, num_queries=4)
    dataset = resolve(tmp_path / "set", tmp_path)
    assert dataset.path == str(tmp_path / "set")
    assert not (tmp_path / "made").exists()


def test_a_folder_that_is_no_dataset_says_what_is_missing(tmp_path):
    """A stack trace for a folder of PDFs."""
    with pytest.raises(DatasetError, match="colintern ingest"):
        find_layout(str(tmp_path), None)
    write(tmp_path / "corpus" / "a.parquet", other=[1])
    with pytest.raises(DatasetError, match=r"no queries, qrels files.*lacks the columns"):
        find_layout(str(tmp_path), None)
    make_corpus(tmp_path / "set", num_pages=1, num_queries=1)
    with pytest.raises(DatasetError, match="layout is canonical, not format: rows"):
        find_layout(str(tmp_path / "set"), None, "rows")
