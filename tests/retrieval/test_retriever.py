"""Asking a finished run, without Ray."""

import shutil
from pathlib import Path

import pytest

from colintern import storage
from colintern.data.canonical import CanonicalDataset
from colintern.errors import DatasetError, MissingStageError, UserError
from colintern.evaluation.results import read_results
from colintern.records.run_folder import RunFolder
from colintern.retrieval.finished import best_round, open_finished
from colintern.retrieval.retriever import save_images, search_run
from colintern.runs import loop
from colintern.runs.local import LocalWorkers
from tests.helpers import make_corpus
from tests.local_run import NoWorkers, QuickWorkers, make_config


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A root with datasets and one finished run, `runs/run`."""
    root = tmp_path_factory.mktemp("finished")
    loop.run(make_config(root), QuickWorkers())
    return root


@pytest.fixture
def run(root) -> str:
    """The run folder."""
    return str(root / "runs" / "run")


@pytest.mark.parametrize("dataset", [None, "test"])
def test_a_search_finds_what_the_evaluation_found(root, run, dataset):
    """Heads, prompts or pages that differ between evaluating a query and asking it."""
    query = CanonicalDataset(str(root / "test")).queries()[3]
    results = read_results(RunFolder(run).results(best_round(RunFolder(run)), "test")).to_pylist()
    wanted = [(row["page_id"], row["rank"]) for row in results if row["query_id"] == query.query_id]
    hits = search_run(run, query.text, 4, dataset, NoWorkers())
    assert len(hits) == 4
    assert [(hit.page_id, hit.rank) for hit in hits] == wanted[:4]
    scores = [row["score"] for row in results if row["query_id"] == query.query_id]
    assert [hit.score for hit in hits] == scores[:4]
    assert {hit.page_id: hit.doc_id for hit in hits} == {
        hit.page_id: f"d{int(hit.page_id[1:]) // 4}" for hit in hits
    }


def test_the_pictures_of_found_pages_are_saved_by_rank(root, run, tmp_path):
    """A picture under the rank of another page, or one that is not what the dataset holds."""
    hits = search_run(run, "question", 3, "test", NoWorkers())
    paths = save_images(run, "test", hits, str(tmp_path / "found"))
    assert [Path(path).name for path in paths] == ["001.png", "002.png", "003.png"]
    images = CanonicalDataset(str(root / "test")).images({hit.page_id for hit in hits})
    assert [Path(path).read_bytes() for path in paths] == [images[hit.page_id] for hit in hits]


def test_a_dataset_that_the_run_has_never_seen(run, tmp_path):
    """A run that can only be asked about its own pages; one that encodes them at each question."""
    make_corpus(tmp_path / "unseen", num_pages=7, num_queries=1, first_picture=300)
    unseen = str(tmp_path / "unseen")
    hits = search_run(run, "question", 10, unseen, LocalWorkers())
    assert [hit.rank for hit in hits] == list(range(1, 8))
    assert sorted(hit.page_id for hit in hits) == [f"p{number:03d}" for number in range(7)]
    assert search_run(run, "question", 10, unseen, NoWorkers()) == hits


def test_a_run_that_was_moved_with_its_features(root, run, tmp_path):
    """Features that are read where the run was made, which may be gone, not where they stand."""
    moved = shutil.copytree(root / "runs", tmp_path / "moved")
    wanted = search_run(run, "question", 3, "test", NoWorkers())
    assert search_run(str(moved / "run"), "question", 3, "test", NoWorkers()) == wanted
    shutil.rmtree(moved / "features")
    with pytest.raises(AssertionError, match="would be done again"):
        search_run(str(moved / "run"), "question", 3, "test", NoWorkers())


def test_questions_that_cannot_be_asked(run):
    """An empty question with a page for an answer; a traceback for a mistyped name."""
    with pytest.raises(UserError, match=r"QUERY: .*; ask in a few words"):
        search_run(run, "  ", 3, "test", NoWorkers())
    with pytest.raises(UserError, match=r"-k 0: must be at least 1"):
        search_run(run, "question", 0, "test", NoWorkers())
    with pytest.raises(DatasetError, match=r"neither a dataset of this run \(train, test\)"):
        search_run(run, "question", 1, "/no/such/folder", NoWorkers())


def test_the_round_that_is_asked(run, tmp_path):
    """The last round where an earlier one is better, or a KeyError for a run that has none."""
    folder = RunFolder(shutil.copytree(run, tmp_path / "run"))
    decided = storage.read_json(folder.loop_json)
    storage.write_json(folder.loop_json, {**decided, "best_round": 1})
    assert best_round(folder) == 1
    storage.delete(folder.loop_json)
    assert best_round(folder) == 2
    storage.delete(folder.record_path("round-2-train"))
    assert best_round(folder) == 1
    storage.delete(folder.record_path("round-1-train"))
    with pytest.raises(MissingStageError, match="no round is trained yet"):
        best_round(folder)


def test_a_round_that_is_asked_for(run):
    """Heads of another round than the one that was named, or a traceback for one that is not."""
    assert [open_finished(run, number).round_number for number in (0, 1, 2)] == [0, 1, 2]
    with pytest.raises(MissingStageError, match=r"has no round 3; it has rounds 0 to 2"):
        open_finished(run, 3)
