"""mteb measures an exported folder as we measure the run."""

import json
import os
import subprocess
import sys

import pytest

from colintern.data.canonical import CanonicalDataset
from colintern.data.demo.build import write_demo
from colintern.retrieval.export.export import export_run
from tests.retrieval.export.conftest import ROOT
from tests.retrieval.export.unrounded import unrounded_metrics

METRICS = {"ndcg_at_5", "ndcg_at_10", "recall_at_1", "recall_at_5", "recall_at_10", "mrr_at_10"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> CanonicalDataset:
    """Pages that the built-in backbone can read, in one tile each."""
    folder = str(tmp_path_factory.mktemp("mteb") / "pages")
    write_demo(folder, "demo-small", "test")
    return CanonicalDataset(folder)


def test_mteb_gives_our_metrics(run, dataset, torchvision, tmp_path):
    """An empty corpus that is scored without a word; another order, gain or score than ours."""
    pytest.importorskip("mteb")
    export_run(run, str(tmp_path / "out"))
    arguments = [torchvision, str(tmp_path / "out"), dataset.path, str(tmp_path / "results")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HOME": str(tmp_path / "cache")}
    program = [sys.executable, "-m", "tests.retrieval.export.runs_mteb", *arguments]
    done = subprocess.run(
        program, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["num_pages"] == len(dataset.page_ids()) > 20
    wanted = unrounded_metrics(run, dataset)
    assert wanted.keys() == METRICS
    assert 0.1 < wanted["ndcg_at_5"] < 0.9
    for name, value in wanted.items():
        assert found["scores"][name] == pytest.approx(value, abs=5e-5)
    assert "would score an empty corpus; take it from exported_model" in found["refused"]
