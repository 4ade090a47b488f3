"""A finished run for baselines, and copies of it to write into."""

import shutil
from pathlib import Path

import pytest

from colintern.runs import loop
from tests.local_run import QuickWorkers, make_config


@pytest.fixture(scope="session")
def _made(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("finished")
    loop.run(make_config(root), QuickWorkers())
    return root


@pytest.fixture
def root(_made, tmp_path) -> Path:
    """A root with datasets and one finished run, `runs/run`, that knows the datasets' place."""
    shutil.copytree(_made / "runs", tmp_path / "runs")
    return tmp_path


@pytest.fixture
def run(root) -> str:
    """The run folder, without baselines."""
    return str(root / "runs" / "run")
