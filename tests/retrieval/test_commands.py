"""`colintern search` and `colintern embed` of a finished run, as they are typed."""

import json

import pytest
import typer.testing

from colintern.cli import app
from colintern.retrieval.embed import EmbedSettings, embed
from colintern.retrieval.retriever import Retriever
from tests.local_run import NoWorkers, QuickWorkers


def _typed(*arguments: str) -> str:
    done = typer.testing.CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


@pytest.fixture
def hits(run):
    """What round 1 finds."""
    return Retriever.open(run, 1, workers=NoWorkers()).search(["question 3"], 2)[0]


def test_a_search_for_people(run, hits):
    """Results without the round and dataset that they are of."""
    told, head, *lines = _typed("search", run, "question 3", "-k", "2", "--round", "1").splitlines()
    assert told == "round 1, test, 6 pages"
    assert head.split() == ["rank", "score", "page"]
    assert [line.split() for line in lines] == [
        [str(hit.rank), f"{hit.score:.4f}", hit.page_id, f"({hit.doc_id})"] for hit in hits
    ]


def test_a_search_for_programs(run, hits, tmp_path):
    """Lines for people among the JSON; a page that is saved under the name of another one."""
    folder = tmp_path / "found"
    options = ("-k", "2", "--round", "1", "--json", "--save", str(folder))
    document = json.loads(_typed("search", run, "question 3", *options))
    found = document.pop("hits")
    assert document == {
        "run": run,
        "round": 1,
        "dataset": "test",
        "query": "question 3",
        "search": "exact",
    }
    assert found == [
        {
            "rank": hit.rank,
            "score": hit.score,
            "page_id": hit.page_id,
            "doc_id": hit.doc_id,
            "file": str(folder / f"{hit.rank:03d}-{hit.page_id}.png"),
        }
        for hit in hits
    ]
    images = Retriever.open(run).page_images([hit.page_id for hit in hits])
    written = {path.name: path.read_bytes() for path in folder.glob("*.png")}
    assert written == {f"{h.rank:03d}-{h.page_id}.png": images[h.page_id] for h in hits}


def test_vectors_that_are_there_are_told(run, tmp_path):
    """Settings of the command line that do not reach the work."""
    out = str(tmp_path / "out")
    embed(run, "test", out, EmbedSettings(1, 8, 3, "int8"), QuickWorkers())
    options = ("--round", "1", "--dim", "8", "--tokens", "3", "--dtype", "int8")
    told = _typed("embed", run, "--dataset", "test", "--out", out, *options)
    assert told == f"{out}: 6 pages of test, 18 vectors of 8 numbers, int8\n"
