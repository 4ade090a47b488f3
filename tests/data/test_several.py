"""Several configurations of the same pages, read as one dataset."""

from pathlib import Path

import pytest

from colintern.config.schema import DatasetConfig
from colintern.data.resolve import find_source
from colintern.errors import DatasetError
from tests.data.helpers import pages_of, resolve, write
from tests.helpers import png

_LANGUAGES = ("english", "french")


def _mteb_copy(folder: Path, pages=("a", "b"), first_picture: int = 0) -> Path:
    """As mteb writes ViDoRe v3: a folder for each language and part, with `id` and `text`."""
    for language in _LANGUAGES:
        write(
            folder / f"{language}-corpus" / "test-00000-of-00001.parquet",
            id=list(pages) if language == "french" else ["a", "b"],
            image=[png(1 + (first_picture if language == "french" else 0)), png(2)],
        )
        write(
            folder / f"{language}-queries" / "test-00000-of-00001.parquet",
            id=["q0", "q1"],
            text=[f"first in {language}", f"second in {language}"],
        )
        qrels = {"query-id": ["q0", "q1", "q1"], "corpus-id": ["a", "b", "a"], "score": [1, 2, 1]}
        write(folder / f"{language}-qrels" / "test-00000-of-00001.parquet", **qrels)
    return folder


def test_every_language_asks_about_the_same_pages(tmp_path):
    """Pages that stand in the corpus once for each language; questions of two with one id."""
    folder = _mteb_copy(tmp_path / "set")
    dataset = resolve(folder, tmp_path, config=list(_LANGUAGES), split="test")
    assert sorted(pages_of(dataset)) == ["a", "b"]
    assert {query.query_id: (query.text, query.language) for query in dataset.queries()} == {
        "english-q0": ("first in english", "english"),
        "english-q1": ("second in english", "english"),
        "french-q0": ("first in french", "french"),
        "french-q1": ("second in french", "french"),
    }
    assert dataset.judgements()["french-q1"] == {"a": 1, "b": 2}


def test_one_of_the_languages_is_a_dataset_as_before(tmp_path):
    """Ids that change because a folder could also be read otherwise."""
    dataset = resolve(_mteb_copy(tmp_path / "set"), tmp_path, config="french")
    assert [query.query_id for query in dataset.queries()] == ["q0", "q1"]


def test_a_dataset_that_was_brought_in_is_read_where_it_stands(tmp_path):
    """A copy of the copy, each time that a recorded configuration is opened."""
    keys = {"config": list(_LANGUAGES), "name": "set"}
    made = resolve(_mteb_copy(tmp_path / "set"), tmp_path, **keys)
    again = DatasetConfig.model_validate({"path": made.path, **keys})
    assert find_source(again, str(tmp_path / "made")).folder == made.path


@pytest.mark.parametrize(
    "other", [{"pages": ("a", "c")}, {"first_picture": 7}], ids=["ids", "images"]
)
def test_configurations_of_other_pages_are_refused(tmp_path, other):
    """Questions judged on the pages of another language."""
    folder = _mteb_copy(tmp_path / "set", **other)
    with pytest.raises(DatasetError, match=r"french has other pages than english .*such as [ab]\)"):
        resolve(folder, tmp_path, config=list(_LANGUAGES))


def test_rows_are_no_such_configurations(tmp_path):
    """Rows of two folders, of which the second is left out without a word."""
    for name in _LANGUAGES:
        write(tmp_path / "set" / name / "test.parquet", query=["a"], image=[png(1)])
    with pytest.raises(DatasetError, match="only those with a corpus, queries and qrels can be"):
        resolve(tmp_path / "set", tmp_path, config=list(_LANGUAGES))
