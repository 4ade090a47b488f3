"""The work of stages in this process."""

import json
import subprocess
import sys
from pathlib import Path

from colintern.runs import loop
from colintern.runs.local import LocalWorkers
from tests.local_run import make_config


def test_it_needs_no_ray():
    """Seconds of Ray's imports, or Ray itself, for tests and benchmarks that do without."""
    program = "import sys, colintern.runs.local, colintern.runs.loop; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def test_a_whole_run_is_trained_mined_and_measured(tmp_path):
    """A stand-in that skips what the real workers do, so that tests with it prove nothing."""
    training = {"epochs": 2, "global_batch": 8, "negatives_per_query": 2}
    folder = Path(loop.run(make_config(tmp_path, training=training), LocalWorkers()).path)
    steps = {}
    for number in (1, 2):
        lines = (folder / f"round-{number}/train_log.jsonl").read_text().splitlines()
        steps[number] = [json.loads(line)["loss"] for line in lines]
    assert len(steps[1]) == len(steps[2]) > 4
    assert steps[1][-1] < steps[1][0]
    triples = (folder / "round-2/triples.jsonl").read_text().splitlines()
    assert any(json.loads(triple)["negs"] for triple in triples)
    mining = json.loads((folder / "round-2/mining.json").read_text())
    record = json.loads((folder / "records/round-2-mine.json").read_text())
    assert mining["heads_sha256"] == record["inputs"]["heads_sha256"]
    for number in range(3):
        document = json.loads((folder / f"round-{number}/eval/dev.json").read_text())
        assert document["round"] == number
