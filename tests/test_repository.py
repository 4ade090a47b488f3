"""What stands around the package: what is shipped, cleaned and declared."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("file", [".gitignore", ".rayignore"])
def test_what_the_readme_writes_is_neither_committed_nor_shipped(file):
    """Pages in a commit, or a job that is refused because its working_dir is above 512 MiB."""
    readme = (ROOT / "README.md").read_text()
    ignored = (ROOT / file).read_text().splitlines()
    for folder in ("data/", "found/"):
        assert f" {folder}" in readme
        assert f"/{folder}" in ignored  # with the slash: colintern/data is not meant


def test_make_clean_removes_the_demo_only(tmp_path):
    """Days of somebody's own runs and features, gone with the demo's."""
    stays = [
        "runs/mine/run.json",
        "runs/tiny/run.json",
        "runs/datasets/demo-tapes-0123abcd/dataset.json",
        "runs/features/dev-00000002/record.json",
        "runs/features/train-00000003/pages/shard-0.safetensors",
    ]
    goes = [
        "runs/demo/run.json",
        "runs/demo-control/run.json",
        "runs/datasets/demo-train-v5/dataset.json",
        "runs/features/dev-00000001/record.json",
    ]
    for path in (*stays, *goes):
        inputs = {"dataset_path": f"{tmp_path}/runs/datasets/mine"}
        if path in goes:
            inputs = {"dataset_path": f"{tmp_path}/runs/datasets/demo-dev-v5"}
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(json.dumps({"inputs": inputs}, indent=2))
    shutil.copy(ROOT / "Makefile", tmp_path)
    for _ in range(2):  # the second finds nothing
        subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
    left = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("runs/**/*.*")]
    assert sorted(left) == sorted(stays)


@pytest.mark.parametrize("index", ["", "https://example.org/cpu"])
def test_torch_comes_from_the_index_that_is_set(index):
    """Gigabytes of CUDA on a machine without a GPU, and no way to say so."""
    command = ["make", "-n", "-B", "setup", "PYTHON=python3", f"TORCH_INDEX={index}"]
    told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    line = next(line for line in told.replace("\\\n", " ").splitlines() if line.endswith(" torch"))
    assert ("--extra-index-url https://example.org/cpu" in line) == bool(index)
