"""A finished run to export, and folders opened by a program that has no code of ours."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colintern.retrieval.finished import FinishedRun, open_finished
from colintern.runs import loop
from tests.local_run import QuickWorkers, make_config

ROOT = Path(__file__).parents[3]
OPENS = Path(__file__).parent / "opens.py"


@pytest.fixture(scope="package")
def run(tmp_path_factory) -> FinishedRun:
    """A run of two rounds with the built-in backbone and heads made of random numbers."""
    root = tmp_path_factory.mktemp("exported")
    folder = loop.run(make_config(root, backbone={"path": "reader"}), QuickWorkers())
    return open_finished(folder.path)


@pytest.fixture(scope="package")
def torchvision() -> str:
    """The folder that holds torchvision and nothing else; `make setup` makes it."""
    folder = Path(os.environ.get("COLINTERN_TORCHVISION", ROOT / ".torchvision"))
    if not folder.is_dir():
        pytest.skip(f"no torchvision in {folder}; run: make setup")
    pytest.importorskip("sentence_transformers")
    return str(folder)


Opened = list[Mapping[str, np.ndarray]]


@pytest.fixture(scope="package")
def opened(torchvision, tmp_path_factory) -> Callable[[Sequence[dict[str, Any]]], Opened]:
    """Opens folders in one fresh interpreter; gives what each job of `opens.py` embedded."""

    def open_all(jobs: Sequence[dict[str, Any]]) -> Opened:
        place = tmp_path_factory.mktemp("opened")
        outs = [place / f"{number}.npz" for number in range(len(jobs))]
        asked = [{**job, "out": str(out)} for job, out in zip(jobs, outs, strict=True)]
        (place / "jobs.json").write_text(json.dumps({"torchvision": torchvision, "jobs": asked}))
        # -I: neither this folder nor PYTHONPATH is on its path.
        command = [sys.executable, "-I", str(OPENS), str(place / "jobs.json")]
        subprocess.run(command, cwd=place, check=True, stdout=subprocess.DEVNULL)
        return [np.load(out) for out in outs]

    return open_all
