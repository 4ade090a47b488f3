"""Whoever is killed while a store is made, at seeded moments: it comes out the same."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from colintern.config.files import load_config
from colintern.model.backbone import read_identity
from colintern.runs.local import LocalWorkers
from colintern.runs.stores import store_targets
from tests.features.helpers import store_files
from tests.helpers import corpus_of, png
from tests.ray_nodes import ENVIRONMENT, alive_nodes, ray_head, ray_node

CONFIG = """
run: {{name: killed, root: {root}/runs}}
data: {{train: {pages}, max_bad_fraction: 0.1}}
backbone: {{path: random}}
features: {{root: {root}/features, shard_bytes: 50_000, batch_tokens: 1_000}}
cluster: {{encode_workers: 2, cpus_per_worker: 2}}
"""
_NUM_PAGES, _NUM_QUERIES = 24, 8
_SECONDS = 300  # a busy machine takes a minute

_draw = random.Random(13)
MOMENTS = [
    *[("driver", "page", _draw.randint(1, _NUM_PAGES)) for _ in range(2)],
    *[("driver", "write", number) for number in _draw.sample(range(1, 5), 2)],
    *[("worker", "page", _draw.randint(1, _NUM_PAGES)) for _ in range(2)],
    *[("worker", "write", number) for number in _draw.sample(range(1, 5), 2)],
    *[("node", "page", _draw.randint(1, _NUM_PAGES)) for _ in range(4)],
]


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    """A dataset with a page that is no image."""
    folder = tmp_path_factory.mktemp("killed") / "set"
    images = [*[png(number) for number in range(_NUM_PAGES)], b"no image"]
    corpus_of(folder, images, _NUM_QUERIES)
    return folder


@pytest.fixture(scope="module")
def undisturbed(pages, tmp_path_factory) -> dict[str, bytes]:
    """The files of its store, made without Ray."""
    root = tmp_path_factory.mktemp("undisturbed")
    config = load_config(str(_configured(root, pages)))
    identity = read_identity(config.backbone)
    LocalWorkers().encode(list(store_targets(config, identity).values()), identity, config)
    return store_files(root / "features")


@pytest.fixture(scope="module")
def head() -> Iterator[tuple[str, ExitStack]]:
    """A head that is too small for workers, but not for their tasks; what ends with it."""
    with ray_head(num_cpus=1) as address, ExitStack() as nodes:
        yield address, nodes


@pytest.fixture
def cluster(head) -> str:
    """The address of a cluster with two further nodes, each for one worker."""
    address, nodes = head
    for _ in range(len(alive_nodes(address)), 3):
        nodes.enter_context(ray_node(address, num_cpus=2))
    return address


def _configured(root: Path, pages: Path) -> Path:
    path = root / "config.yaml"
    path.write_text(CONFIG.format(root=root, pages=pages))
    return path


def _encode(address: str, root: Path, moment: tuple[str, str, int]) -> int:
    """Run a driver in which somebody dies; returns how it has ended."""
    (marks := root / f"marks-{moment[0]}").mkdir(exist_ok=True)
    arguments = [root / "config.yaml", *moment, marks]
    command = [sys.executable, "-m", "tests.runtime.killed_encoding", *map(str, arguments)]
    environment = {**os.environ, **ENVIRONMENT, "RAY_ADDRESS": address}
    log = root / "driver.log"
    with log.open("a") as output:
        driver = subprocess.run(
            command, env=environment, stdout=output, stderr=output, timeout=_SECONDS
        )
    assert (marks / "killed").exists(), log.read_text()
    assert driver.returncode in (0, -9), log.read_text()
    return driver.returncode


def _recorded(root: Path) -> list[str]:
    """The files that the store's record lists."""
    (record,) = (root / "features").glob("*/record.json")
    return sorted(output["path"] for output in json.loads(record.read_text())["outputs"])


@pytest.mark.ray
def test_a_driver_and_then_a_node_are_killed(cluster, pages, undisturbed, tmp_path):
    """Work that is lost, done twice, or hangs, when a machine of a cluster vanishes.

    A worker that is killed is in `test_encode.py`; all moments are below.
    """
    _configured(tmp_path, pages)
    assert _encode(cluster, tmp_path, ("driver", "page", 5)) == -9
    assert not list((tmp_path / "features").glob("*/record.json"))
    assert _encode(cluster, tmp_path, ("node", "page", 3)) == 0
    assert store_files(tmp_path / "features") == undisturbed


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: "-".join(map(str, moment)))
def test_a_store_does_not_show_who_was_killed(cluster, pages, undisturbed, tmp_path, moment):
    """A shard of half a write, a page left out or twice, or a run without end."""
    _configured(tmp_path, pages)
    if moment[0] == "driver":
        assert _encode(cluster, tmp_path, moment) == -9
    assert _encode(cluster, tmp_path, moment) == 0
    assert store_files(tmp_path / "features") == undisturbed
    names = {name.partition("/")[2] for name in undisturbed}
    assert set(_recorded(tmp_path)) <= names
    assert len(names) > 8
