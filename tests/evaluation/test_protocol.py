"""How a figure was measured stands beside it."""

import json

import numpy as np
import pytest

from colintern import storage
from colintern.evaluation.protocol import Tokens
from colintern.features.progress import ENCODE_LOG
from colintern.features.provenance import read_provenance, together
from colintern.runs import loop
from tests.local_run import QuickWorkers, make_config


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A finished run whose test set is searched by pooled candidates."""
    config = make_config(
        tmp_path_factory.mktemp("protocol"),
        loop={"max_rounds": 1},
        evaluation={"search": "pooled_rerank"},
    )
    return loop.run(config, QuickWorkers())


def test_a_metrics_file_says_how_it_was_measured(run_folder):
    """Two figures that differ, and nobody can tell why: another kernel, type or search."""
    protocol = storage.read_json(run_folder.evaluation(1, "dev"))["protocol"]
    assert (protocol["search"], protocol["candidates"], protocol["gain"]) == (
        "exact",
        None,
        "linear",
    )
    assert protocol["device"] == "cpu"
    encoding = protocol["encoding"]
    assert encoding["attention_kernel"] == "sdpa"
    assert (encoding["device"], encoding["compute_dtype"]) == ("cpu", "float32")
    assert encoding["image_processor"] == "GotOcr2ImageProcessorPil"
    assert encoding["stored_dtype"] == "bfloat16"
    assert protocol["page_tokens"]["max"] >= protocol["page_tokens"]["mean"] > 0
    assert {"colintern", "torch", "transformers", "numpy"} <= protocol["versions"].keys()
    assert "faiss-cpu" not in protocol["versions"]


def test_an_approximate_search_says_what_it_loses(run_folder):
    """Figures of a search that misses pages, read as those of the model."""
    document = storage.read_json(run_folder.evaluation(1, "test"))
    assert document["protocol"]["search"] == "pooled_rerank"
    assert document["protocol"]["candidates"] == document["num_pages"] == 6
    assert "faiss-cpu" in document["protocol"]["versions"]
    loss = document["loss"]
    assert (loss["num_queries"], loss["seed"]) == (8, 0)
    assert (loss["recall_at_5"], loss["recall_at_100"]) == (1.0, 1.0)  # all pages are candidates
    assert loss["ndcg_at_5_found"] == loss["ndcg_at_5_exact"] == document["metrics"]["ndcg_at_5"]


def test_a_store_of_an_earlier_version_is_told_as_unknown(tmp_path):
    """A store that says nothing, taken for one that was encoded as stores are today."""
    assert set(read_provenance(str(tmp_path)).values()) == {"unknown"}
    begun = {"device": "cuda", "compute_dtype": "bfloat16"}
    lines = [{"shards": 3}, {"shards": 2, **begun}]
    (tmp_path / ENCODE_LOG).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_provenance(str(tmp_path))["device"] == "cuda, unknown"


def test_workers_that_differ_are_all_told():
    """Half of a store from another kind of machine, and the log names one."""
    assert together([{"device": "cuda"}, {"device": "cpu"}])["device"] == "cpu, cuda"


def test_a_corpus_without_a_page_has_no_tokens():
    """A mean of nothing: NaN in a file that must be JSON."""
    assert Tokens.of(np.empty(0, np.int32)) == Tokens(0.0, 0)
