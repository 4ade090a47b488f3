"""BM25 over the texts of pages."""

import logging
import math
from pathlib import Path

import pytest
import torch

from colintern.data.canonical import CanonicalDataset, iterate_pages
from colintern.data.entities import Judgement, Page
from colintern.data.words import words
from colintern.data.writing import write_dataset
from colintern.evaluation.results import read_results
from colintern.records.run_folder import RunFolder
from colintern.retrieval.baselines.bm25 import K1, B, Bm25, measure_bm25
from colintern.retrieval.baselines.frame import measured_run
from colintern.runs import loop
from colintern.search import order
from tests.local_run import QuickWorkers, make_config

TEXTS = ["the cat sat on the mat", "a dog and a cat", "", "Dogs! dog, DOG dog", "nothing of it"]


def _score(query: str, text: str) -> float:
    """Robertson and Zaragoza's formula with Lucene's idf, word by word."""
    texts = [words(text) for text in TEXTS if words(text)]
    mean, own = sum(map(len, texts)) / len(texts), words(text)
    total = 0.0
    for word in words(query):
        found = sum(word in other for other in texts)
        if own.count(word):
            idf = math.log(1 + (len(texts) - found + 0.5) / (found + 0.5))
            norm = K1 * (1 - B + B * len(own) / mean)
            total += idf * own.count(word) / (own.count(word) + norm)
    return total


@pytest.mark.parametrize("query", ["cat", "dog cat", "the the dog", "unheard of", "zebra", "?!"])
def test_scores_are_those_of_the_formula(query):
    """Pages without a text that make all others long; a word that is counted once or not at all."""
    index = Bm25(enumerate(TEXTS), len(TEXTS))
    wanted = [_score(query, text) for text in TEXTS]
    assert index.scores(query).tolist() == pytest.approx(wanted, rel=1e-6)


def test_the_order_is_that_of_every_search():
    """Ties not by page, pages that match nothing among the found, an order of the files."""
    texts = [(3, "cat"), (1, "cat"), (0, "dog"), (4, "cat cat"), (2, "bird")]
    (found,) = Bm25(texts, 6).best(["cat", "zebra"], 4)
    assert order.to_ordinals(found).tolist() == [[4, 1, 3, -1], [-1] * 4]
    scores = order.to_scores(found)[0]
    assert scores[0] > scores[1] == scores[2]
    (few,) = Bm25(texts, 6).best(["cat"], 2)
    assert torch.equal(few[0], found[0, :2])


def test_a_corpus_without_words_finds_nothing():
    """A traceback of an index of nothing."""
    (found,) = Bm25([(0, "--")], 2).best(["cat"], 2)
    assert (found == order.NO_PAGE).all()
    assert not list(Bm25([(0, "cat")], 2).best([], 2))


def _give_texts(folder: Path, texts: dict[str, str]) -> None:
    """Write a dataset again, with texts for some pages."""
    dataset = CanonicalDataset(str(folder))
    pages = [
        Page(page.page_id, page.image, page.doc_id, texts.get(page.page_id))
        for file in dataset.corpus_files
        for _, page in iterate_pages(file)
    ]
    judged = dataset.judgements()
    judgements = [
        Judgement(query_id, page_id, score)
        for query_id in judged
        for page_id, score in judged[query_id].items()
    ]
    write_dataset(str(folder), pages, dataset.queries(), judgements)


def test_a_run_is_measured_where_its_corpora_have_text(tmp_path, caplog):
    """Other pages than the round searched; a dataset without text that ends the command."""
    caplog.set_level(logging.INFO, "colintern")
    config = make_config(tmp_path)
    # "question 3 of many" asks for page p003; p005 has no text.
    _give_texts(tmp_path / "test", {f"p{n:03d}": f"Answer to question {n}." for n in range(5)})
    folder = loop.run(config, QuickWorkers())
    with measured_run(folder.path) as measured:
        (document,) = measure_bm25(measured)
    assert document["dataset"] == "test"
    about = {"name": "bm25", "kind": "bm25", "k1": K1, "b": B, "method": "lucene"}
    assert document["baseline"] == {**about, "pages_with_text": 5}
    rows = read_results(RunFolder(folder.path).baseline_results("bm25", "test")).to_pylist()
    best = {row["query_id"]: row["page_id"] for row in rows if row["rank"] == 1}
    assert best == {f"q{n:03d}": f"p{n % 6:03d}" for n in range(5)} | {
        "q005": "p000",
        "q006": "p000",
        "q007": "p000",
    }
    assert "p005" not in {row["page_id"] for row in rows}
    assert "test: 1 of its 6 pages have no text" in caplog.text
    assert "dev: none of its 24 pages has a text" in caplog.text
