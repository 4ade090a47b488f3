"""Our own export as another model: a baseline that has to give our own figures."""

import json
import os
import subprocess
import sys

import pytest

from colintern import storage
from colintern.data.canonical import CanonicalDataset
from colintern.data.demo.build import write_demo
from colintern.retrieval.export.export import export_run
from colintern.retrieval.finished import open_finished
from colintern.runs import loop
from tests.local_run import QuickWorkers, make_config
from tests.retrieval.export.conftest import ROOT
from tests.retrieval.export.unrounded import unrounded_metrics


@pytest.mark.slow
def test_our_own_export_gives_our_own_figures(torchvision, tmp_path):
    """A baseline whose pages, prompts, scores, judgements or order of ties differ from ours."""
    folder = str(tmp_path / "pages")
    write_demo(folder, "demo-small", "test")
    config = make_config(tmp_path, backbone={"path": "reader"}, data={"eval": [folder]})
    run = open_finished(loop.run(config, QuickWorkers()).path)
    export_run(run, str(tmp_path / "exported"))
    arguments = [torchvision, run.folder.path, str(tmp_path / "exported")]
    done = subprocess.run(
        [sys.executable, "-m", "tests.retrieval.export.measures", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])["pages"]
    assert found["baseline"]["reads"] == "images"
    assert found["protocol"]["encoding"]["image_processor"] == "GotOcr2ImageProcessorPil"
    wanted = unrounded_metrics(run, CanonicalDataset(folder))
    assert 0.1 < wanted["ndcg_at_5"] < 0.9
    assert {name: found["metrics"][name] for name in wanted} == pytest.approx(wanted, abs=5e-5)
    # Those of the run itself, whose store rounds features to bfloat16.
    own = storage.read_json(run.folder.evaluation(run.round_number, "pages"))
    assert found["num_queries"] == own["num_queries"]
    assert found["metrics"] == pytest.approx(own["metrics"], abs=0.01)
