"""A finished run that the tests of this folder ask, and do not change."""

from pathlib import Path

import pytest

from colintern.runs import loop
from tests.local_run import QuickWorkers, make_config


@pytest.fixture(scope="session")
def root(tmp_path_factory) -> Path:
    """A root with datasets and one finished run, `runs/run`."""
    root = tmp_path_factory.mktemp("finished")
    loop.run(make_config(root), QuickWorkers())
    return root


@pytest.fixture
def run(root) -> str:
    """The run folder."""
    return str(root / "runs" / "run")
