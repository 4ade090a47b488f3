"""A copy of the finished run, to write into."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def root(root, tmp_path) -> Path:
    """A copy of the finished run, `runs/run`, that knows the datasets' place."""
    shutil.copytree(root / "runs", tmp_path / "runs")
    return tmp_path
