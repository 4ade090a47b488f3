"""Encoding on a cluster that has no node to work on until it is asked for one."""

import os
import subprocess
import sys
import time

import pytest

from colintern.runs import loop
from colintern.runs.local import LocalWorkers
from tests.features.helpers import store_files
from tests.helpers import make_corpus
from tests.local_run import make_config
from tests.ray_nodes import ENVIRONMENT, alive_nodes, ray_head

CONFIG = """
run: {{name: on-ray, root: {root}/runs}}
data: {{train: {root}/train, eval: [{root}/test], dev: null}}
backbone: {{path: {backbone}}}
features: {{root: {root}/features-on-ray, shard_bytes: 4_000}}
cluster: {{encode_workers: [1, 2]}}
"""
_NODE = {"resources": {"CPU": 2, "object_store_memory": 100_000_000}, "min_workers": 0}
_SECONDS_TO_ENCODE, _SECONDS_TO_GO = 400, 120


@pytest.mark.ray
@pytest.mark.slow
def test_nodes_come_to_encode_and_go_when_it_is_done(tmp_path, record_property):
    """A pool that waits for nodes without asking for them; idle nodes that are paid for ever."""
    make_corpus(tmp_path / "train", num_pages=60, num_queries=40)
    make_corpus(tmp_path / "test", num_pages=6, num_queries=8, first_picture=100)
    features = {"root": str(tmp_path / "features-here"), "shard_bytes": 4_000}
    config = make_config(tmp_path, features=features)
    loop.encode(config, LocalWorkers())
    path, log = tmp_path / "config.yaml", tmp_path / "driver.log"
    path.write_text(CONFIG.format(root=tmp_path, backbone=config.backbone.path))
    began = time.monotonic()
    over_time: list[tuple[float, int]] = []

    def note(address: str) -> int:
        """How many nodes there are besides the head, written down whenever it changes."""
        number = len(alive_nodes(address)) - 1
        if not over_time or over_time[-1][1] != number:
            over_time.append((round(time.monotonic() - began, 1), number))
        return number

    with ray_head(num_cpus=0, worker_types={"worker": {**_NODE, "max_workers": 2}}) as address:
        environment = {**os.environ, **ENVIRONMENT, "RAY_ADDRESS": address}
        command = [sys.executable, "-m", "colintern.cli", "encode", "--config", str(path)]
        with log.open("w") as output:
            driver = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        while driver.poll() is None:
            assert time.monotonic() - began < _SECONDS_TO_ENCODE, (over_time, log.read_text())
            note(address)
            time.sleep(0.5)  # Ray's own processes are nice, a busy loop would starve them
        ended = time.monotonic()
        while note(address):
            assert time.monotonic() - ended < _SECONDS_TO_GO, over_time
            time.sleep(0.5)
        record_property("nodes over time", over_time)
    assert driver.returncode == 0, log.read_text()
    assert [number for _, number in over_time] in ([0, 1, 2, 1, 0], [0, 1, 2, 0], [0, 2, 0])
    encoded = store_files(tmp_path / "features-on-ray")
    assert encoded == store_files(tmp_path / "features-here")
    assert len([name for name in encoded if name.endswith(".safetensors")]) > 6
