"""A driver that is killed for good, in the middle of its work, and started again (property 8)."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers import make_corpus

CONFIG = """
run: {{name: {name}, root: {root}/runs}}
data: {{train: {root}/train, eval: [{root}/test], dev_fraction: 0.3}}
backbone: {{path: random}}
features: {{root: {root}/features-{name}, shard_bytes: 300_000}}
training: {{epochs: 3, global_batch: 8, num_workers: 1, negatives_per_query: 2}}
mining: {{relative_margin: 0.0}}
loop: {{max_rounds: 2, patience: 5}}
"""
COMPARED = (
    "round-1/heads/heads.safetensors",
    "round-2/heads/heads.safetensors",
    "round-2/triples.jsonl",
    "round-2/eval/test.json",
    "loop.json",
)


def _start(root: Path, name: str) -> subprocess.Popen:
    path = root / f"{name}.yaml"
    path.write_text(CONFIG.format(name=name, root=root))
    command = [sys.executable, "-m", "colintern.cli", "run", "--config", str(path)]
    log = (root / f"{name}.log").open("a")
    return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


@pytest.mark.slow
def test_a_driver_killed_in_the_middle_of_its_work_ends_with_the_same_bytes(tmp_path):
    """Half a file taken for a whole one; a lease, a shard or heads of a dead driver in the way."""
    make_corpus(tmp_path / "train", num_pages=40, num_queries=60)
    make_corpus(tmp_path / "test", num_pages=12, num_queries=15)
    assert _start(tmp_path, "whole").wait(timeout=300) == 0
    run, log = tmp_path / "runs" / "killed", tmp_path / "killed.log"

    def has_shard() -> bool:
        return any((tmp_path / "features-killed").rglob("shard-*.safetensors"))

    moments: list[Callable[[], bool]] = [
        has_shard,
        lambda: (run / "records" / "round-0-evaluate-test.json").exists(),
        lambda: (run / "round-2" / "triples.jsonl").exists(),
        lambda: (run / "round-2" / "heads" / "heads.safetensors").exists(),
    ]
    for is_due in moments:
        driver = _start(tmp_path, "killed")
        deadline = time.monotonic() + 200
        while not is_due():
            assert driver.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)  # Ray's workers are nice, a busy loop would starve them
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
        assert not (run / "report.html").exists()
    assert _start(tmp_path, "killed").wait(timeout=300) == 0, log.read_text()
    for name in COMPARED:
        assert (run / name).read_bytes() == (tmp_path / "runs/whole" / name).read_bytes(), name


@pytest.mark.slow
def test_ctrl_c_after_a_round_is_still_exit_code_130(tmp_path):
    """Ray Train's own handler of Ctrl-C that stays, and ends the driver with exit code 0."""
    make_corpus(tmp_path / "train", num_pages=40, num_queries=60)
    make_corpus(tmp_path / "test", num_pages=12, num_queries=15)
    driver = _start(tmp_path, "stopped")
    deadline = time.monotonic() + 200
    while not (tmp_path / "runs/stopped/records/round-1-train.json").exists():
        assert driver.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)  # Ray's workers are nice, a busy loop would starve them
    driver.send_signal(signal.SIGINT)
    assert driver.wait(timeout=90) == 130
    assert (tmp_path / "stopped.log").read_text().splitlines()[-1].startswith("interrupted")
