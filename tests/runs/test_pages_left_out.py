"""Pages that cannot be encoded, and pages that training must not see."""

import json
import logging
import shutil
from pathlib import Path

import pytest

from colintern.data.canonical import CanonicalDataset, iterate_pages
from colintern.data.entities import Judgement, Page
from colintern.data.writing import write_dataset
from colintern.errors import TooManyBadPagesError
from colintern.runs import loop
from colintern.runs.drift import check_drift
from colintern.runs.local import LocalWorkers
from colintern.runs.runner import open_run
from tests.helpers import make_corpus
from tests.local_run import QuickWorkers, make_config


def _spoil(folder: Path) -> None:
    """Cut off a dataset's picture of page 7, and make page 8 no picture."""
    dataset = CanonicalDataset(str(folder))
    pages = [page for _, page in iterate_pages(dataset.corpus_files[0])]
    pages[7] = Page(pages[7].page_id, pages[7].image[:600], pages[7].doc_id)
    pages[8] = Page(pages[8].page_id, b"not a picture", pages[8].doc_id)
    queries = dataset.queries()
    judged = [
        Judgement(query, page, score)
        for query, found in dataset.judgements().items()
        for page, score in found.items()
    ]
    shutil.rmtree(folder)
    write_dataset(str(folder), pages, queries, judged)


def test_a_bad_page_costs_only_that_page(tmp_path):
    """A truncated picture that stops a run, or that vanishes without a word (property 10)."""
    make_corpus(tmp_path / "train", num_pages=40, num_queries=60)
    make_corpus(tmp_path / "test", num_pages=4, num_queries=4)
    _spoil(tmp_path / "train")
    tolerant = make_config(tmp_path, data={"max_bad_fraction": 0.1})
    loop.encode(tolerant, LocalWorkers())
    store = next((tmp_path / "runs" / "features").glob("train-*"))
    bad = [json.loads(line) for line in (store / "bad_pages.jsonl").read_text().splitlines()]
    assert [entry["page_id"] for entry in bad] == ["p007", "p008"]
    assert "damaged" in bad[0]["reason"]
    assert "not an image" in bad[1]["reason"]
    features = {"root": str(tmp_path / "other")}
    strict = make_config(tmp_path, run={"name": "strict"}, features=features)
    with pytest.raises(TooManyBadPagesError, match=r"data\.max_bad_fraction"):
        loop.encode(strict, LocalWorkers())


def test_pages_that_dev_or_a_test_set_shares_with_training(tmp_path, caplog):
    """A dev page that was trained on or mined, silently; a stage that does not depend on dev."""
    make_corpus(tmp_path / "train", num_pages=24, num_queries=24)
    make_corpus(tmp_path / "dev", num_pages=6, num_queries=6, first_picture=20)
    make_corpus(tmp_path / "test", num_pages=3, num_queries=3)
    caplog.set_level(logging.INFO, "colintern")
    config = make_config(tmp_path, data={"dev": str(tmp_path / "dev")})
    run = Path(loop.run(config, QuickWorkers()).path)
    lines = [json.loads(line) for line in (run / "round-2/triples.jsonl").read_text().splitlines()]
    kept = {f"p{number:03d}" for number in range(21)}
    assert {page for line in lines for page in line["pos"]} == kept
    mined = {page for line in lines for page in line["negs"]}
    assert mined
    assert mined <= kept
    assert (
        "train: 3 pages answer dev queries, so they are neither trained on nor mined" in caplog.text
    )
    assert "dev: 2 documents: d0, d1; 6 questions, 6 pages searched" in caplog.text
    assert "test: 3 pages and 3 questions of training also stand in it: p000, p001" in caplog.text
    inputs = {
        stage: json.loads((run / "records" / f"{stage}.json").read_text())["inputs"]
        for stage in ("round-1-train", "round-2-mine", "round-2-train", "round-2-evaluate-test")
    }
    depends = [stage for stage, found in inputs.items() if "held_out_pages_sha256" in found]
    assert depends == ["round-1-train", "round-2-mine", "round-2-train"]

    (store,) = (path for path in (run.parent / "features").glob("dev-*") if path.is_dir())
    shutil.rmtree(store)
    loop.encode(config, LocalWorkers())  # as for any store that is gone
    with open_run(config, workers=LocalWorkers()) as runner:
        check_drift(runner.run)
    assert store.is_dir()
