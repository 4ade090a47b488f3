"""The run whose report is tested."""

import json
from pathlib import Path

import pytest

from colintern.data.entities import Judgement, Page, Query
from colintern.data.triples import Triple, writing_triples
from colintern.data.writing import write_dataset
from colintern.runs import loop
from tests.helpers import CorpusFolder, png
from tests.local_run import QuickWorkers, make_config
from tests.report.helpers import EVIL, write_json

NAMES = "ndcg_at_5 ndcg_at_10 recall_at_1 recall_at_5 recall_at_10 mrr_at_10".split()


@pytest.fixture
def run(tmp_path) -> Path:
    """The files of a run with one trained round and mined triples, with hostile texts."""
    pages = [Page(f"{EVIL}{number}", png(number)) for number in range(3)]
    data = str(tmp_path / "data")
    write_dataset(data, pages, [Query("q", EVIL)], [Judgement("q", pages[0].page_id, 1)])
    config = CorpusFolder(data).config.model_dump(mode="json")
    folder = tmp_path / "run"
    write_json(folder / "run.json", {"config": config, "versions": {"python": "3"}, "commit": None})
    for number in (0, 1):
        document = {
            "dataset": "dev",
            "round": number,
            "num_queries": 1,
            "num_pages": 3,
            "search": "exact",
            "metrics": {name: 0.5 for name in NAMES},
            "ci": {name: [0.4, 0.6] for name in NAMES},
        }
        write_json(folder / f"round-{number}/eval/dev.json", document)
    (folder / "round-1/train_log.jsonl").write_text(
        "".join(json.dumps({"step": n, "loss": 1 / n}) + "\n" for n in range(1, 9))
    )
    ids = [page.page_id for page in pages]
    triple = Triple("q", EVIL, ids[:1], ids[1:], [0.5], [0.4, 0.3], [2, 3])
    with writing_triples(str(folder / "round-2/triples.jsonl")) as write:
        write(triple)
    mining = {
        "search_used": "exact",
        "recall": 1.0,
        "candidates": None,
        "underfilled": 1,
        "without_negatives": 0,
        "dropped": {"positive": 1, "same_page": 0},
    }
    write_json(folder / "round-2/mining.json", mining)
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """The folder of a run that is finished, with stores and datasets; it is not changed."""
    root = tmp_path_factory.mktemp("finished")
    loop.run(make_config(root), QuickWorkers())
    return root / "runs" / "run"
