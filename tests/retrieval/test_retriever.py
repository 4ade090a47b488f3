"""Asking a finished run, without Ray."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from colintern.data.canonical import CanonicalDataset
from colintern.errors import DatasetError, DriftError, UserError
from colintern.evaluation.results import read_results
from colintern.images.decode import decode
from colintern.records.run_folder import RunFolder
from colintern.retrieval.finished import best_round
from colintern.retrieval.page_images import PageImages
from colintern.retrieval.retriever import Retriever
from colintern.runs import loop
from colintern.runs.local import LocalWorkers
from tests.helpers import make_corpus
from tests.local_run import NoWorkers, QuickWorkers, make_config, search

TEXTS = ["question 3 of many", "a", "which page?", "question 3 of many pages, and of many more"]


@pytest.fixture
def retriever(run) -> Retriever:
    """The test set of the run, opened."""
    return Retriever.open(run, workers=NoWorkers())


@pytest.mark.parametrize("dataset", [None, "test"])
def test_a_search_finds_what_the_evaluation_found(root, run, dataset):
    """Heads, prompts or pages that differ between evaluating a query and asking it."""
    query = CanonicalDataset(str(root / "test")).queries()[3]
    results = read_results(RunFolder(run).results(best_round(RunFolder(run)), "test")).to_pylist()
    wanted = [(row["page_id"], row["rank"]) for row in results if row["query_id"] == query.query_id]
    hits = search(run, query.text, 4, dataset)
    assert len(hits) == 4
    assert [(hit.page_id, hit.rank) for hit in hits] == wanted[:4]
    scores = [row["score"] for row in results if row["query_id"] == query.query_id]
    assert [hit.score for hit in hits] == scores[:4]
    assert {hit.page_id: hit.doc_id for hit in hits} == {
        hit.page_id: f"d{int(hit.page_id[1:]) // 4}" for hit in hits
    }


def test_what_was_opened_is_told(run, caplog):
    """A search in another round or dataset than one thinks, or memory that nobody knows of."""
    with caplog.at_level("INFO", "colintern"):
        retriever = Retriever.open(run, 1, "train", workers=NoWorkers())
    assert (retriever.round, retriever.dataset, retriever.num_pages) == (1, "train", 24)
    assert (retriever.method, retriever.device) == ("exact", "cpu")
    (line,) = [record.message for record in caplog.records]
    assert f"round 1 of {run}, train: 24 pages; exact search" in line
    assert "exact search, 181.8 kB of embeddings in memory" in line


def test_several_queries_are_answered_as_one_by_one(retriever):
    """Scores whose last bits depend on what else is asked."""
    together = retriever.search(TEXTS, 6)
    assert together == [retriever.search([text], 6)[0] for text in TEXTS]
    assert len({tuple(hits) for hits in together}) == len(TEXTS)
    embedded = retriever.embed_queries(TEXTS)
    for text, token_QE in zip(TEXTS, embedded, strict=True):
        assert np.array_equal(token_QE, retriever.embed_queries([text])[0])
    assert retriever.search([]) == retriever.embed_queries([]) == retriever.embed_pages([]) == []


def test_threads_may_share_a_retriever(run):
    """Answers that threads mix up, or a model that each of them loads."""
    alone = Retriever.open(run, workers=NoWorkers())
    asked = TEXTS * 4
    wanted = [
        (alone.search([text], 3), alone.similarities(text, "p002").scores.tobytes())
        for text in asked
    ]
    shared = Retriever.open(run, workers=NoWorkers())
    with ThreadPoolExecutor(4) as threads:
        found = threads.map(
            lambda text: (
                shared.search([text], 3),
                shared.similarities(text, "p002").scores.tobytes(),
            ),
            asked,
        )
    assert list(found) == wanted


def test_embeddings_are_those_that_are_searched(root, retriever):
    """Embeddings of pages and queries for a database that finds other pages than `search`."""
    (query_QE,) = retriever.embed_queries(TEXTS[:1])
    assert query_QE.dtype == np.float32
    assert np.allclose(np.linalg.norm(query_QE, axis=1), 1, atol=1e-6)
    images = CanonicalDataset(str(root / "test")).images([f"p{n:03d}" for n in range(6)])
    pages = dict(zip(images, retriever.embed_pages(list(images.values())), strict=True))
    by_hand = {page: (query_QE @ page_PE.T).max(axis=1).mean() for page, page_PE in pages.items()}
    (hits,) = retriever.search(TEXTS[:1], 6)
    assert {hit.page_id: pytest.approx(hit.score, abs=1e-6) for hit in hits} == by_hand
    (again,) = retriever.embed_pages([decode(images["p003"])])
    assert np.array_equal(again, pages["p003"])


def test_the_best_similarities_make_the_score(retriever):
    """A heat map of other numbers than those that ranked the page."""
    (hits,) = retriever.search(TEXTS[:1], 6)
    assert len(hits) == 6
    for hit in hits:
        found = retriever.similarities(TEXTS[0], hit.page_id)
        num_queries, num_pages = found.scores.shape
        mean = found.scores.max(axis=1).astype(np.float64).cumsum()[-1] / num_queries
        assert np.float32(mean) == np.float32(hit.score)
        assert len(found.tokens) == num_queries
        assert found.boxes.shape == (num_pages, 4)
        assert found.is_thumbnail.shape == (num_pages,)
        assert [part.tolist() for part in found.parts] == found.boxes[:, None].tolist()
        assert found.boxes[:, :2].min() == 0
        assert found.boxes[:, 2:].max() == 32  # the pages are 32 x 32 pixels
    assert "question" in "".join(found.tokens)


def test_a_dataset_that_the_run_has_never_seen(run, tmp_path):
    """A run that can only be asked about its own pages; one that encodes them at each question."""
    make_corpus(tmp_path / "unseen", num_pages=7, num_queries=1, first_picture=300)
    unseen = str(tmp_path / "unseen")
    hits = search(run, "question", 10, unseen, LocalWorkers())
    assert [hit.rank for hit in hits] == list(range(1, 8))
    assert sorted(hit.page_id for hit in hits) == [f"p{number:03d}" for number in range(7)]
    assert search(run, "question", 10, unseen) == hits


def test_a_run_that_was_moved_with_its_features(root, run, tmp_path):
    """Features that are read where the run was made, which may be gone, not where they stand."""
    moved = shutil.copytree(root / "runs", tmp_path / "moved")
    wanted = search(run, "question", 3, "test")
    assert search(str(moved / "run"), "question", 3, "test") == wanted
    shutil.rmtree(moved / "features")
    assert search(str(moved / "run"), "question", 3, "test") == wanted  # they stayed behind
    features = root / "runs" / "features"
    hidden = features.rename(tmp_path / "hidden")
    try:
        with pytest.raises(AssertionError, match="would be done again"):
            search(str(moved / "run"), "question", 3, "test")
    finally:
        hidden.rename(features)


def test_questions_that_cannot_be_asked(run, retriever):
    """An empty question with a page for an answer; a traceback for a mistyped name."""
    with pytest.raises(UserError, match=r"query 2: empty query; ask in a few words"):
        retriever.search(["question", "  "])
    with pytest.raises(UserError, match=r"query 1: query of 9,000 characters; the limit is 8,192"):
        retriever.embed_queries(["x" * 9_000])
    with pytest.raises(UserError, match=r"k=0: must be at least 1"):
        retriever.search(["question"], 0)
    with pytest.raises(TypeError, match="must be a list of texts"):
        retriever.search("question")
    with pytest.raises(DatasetError, match="page p999: is not in the dataset test"):
        retriever.similarities("question", "p999")
    with pytest.raises(UserError, match="image: not an image"):
        retriever.embed_pages([b"no picture"])
    with pytest.raises(DatasetError, match=r"neither a dataset of this run \(train, test\)"):
        Retriever.open(run, dataset="/no/such/folder", workers=NoWorkers())


def test_a_dataset_of_the_run_that_has_grown(tmp_path):
    """Pages among the answers that the run has never recorded, or that are encoded to be asked."""
    loop.run(make_config(tmp_path), QuickWorkers())
    run, test = str(tmp_path / "runs" / "run"), tmp_path / "test"
    recorded = search(run, "question", 20)
    make_corpus(tmp_path / "more", num_pages=9, num_queries=1, first_picture=100)
    for file in (tmp_path / "more" / "corpus").iterdir():
        file.replace(test / "corpus" / file.name)
    assert search(run, "question", 20) == recorded
    grown = search(run, "question", 20, str(test), LocalWorkers())
    assert (len(recorded), len(grown)) == (6, 9)
    assert search(run, "question", 20, "test") == recorded
    (store,) = (tmp_path / "runs" / "features").glob("test-*")
    shutil.rmtree(store)
    with pytest.raises(DriftError, match="the pages that the run has recorded are lost"):
        search(run, "question", 20, "test", LocalWorkers())
    assert search(run, "question", 20, str(test)) == grown


def test_a_damaged_store_is_made_again(tmp_path):
    """A run that can be asked no more, as its features stay damaged for ever."""
    loop.run(make_config(tmp_path), QuickWorkers())
    run = str(tmp_path / "runs" / "run")
    wanted = search(run, "question", 3)
    (shard,) = (tmp_path / "runs" / "features").glob("test-*/pages/shard-*.safetensors")
    Path(f"{shard}.damaged").touch()
    assert search(run, "question", 3, workers=LocalWorkers()) == wanted
    assert search(run, "question", 3) == wanted


def test_the_images_of_found_pages(root, retriever, monkeypatch):
    """Another picture than the page that was found, or a KeyError for one that is gone."""
    images = CanonicalDataset(str(root / "test")).images(["p001", "p004"])
    assert retriever.page_images(["p004", "p001"]) == images
    with pytest.raises(DatasetError, match="page p999: is not in the dataset test"):
        retriever.page_images(["p999"])
    for found, words in (
        (b"other", "page p004 is not the picture that was encoded; put it back"),
        (None, "has no page p004 any more"),
    ):
        monkeypatch.setattr(PageImages, "read", lambda _, positions, found=found: [found])
        with pytest.raises(DatasetError, match=words):
            retriever.page_images(["p004"])
