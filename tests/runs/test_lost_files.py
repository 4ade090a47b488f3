"""Files of a finished run that somebody deletes, or that a copy has cut short."""

import shutil
from pathlib import Path

import pytest

from colintern.errors import CheckpointError, DriftError, MissingStageError
from colintern.records.run_folder import RunFolder
from colintern.retrieval.finished import best_round, open_finished
from colintern.runs import loop
from colintern.runs.stages import Evaluate
from tests.local_run import QuickWorkers, make_config


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The folder of a finished run, to be copied."""
    root = tmp_path_factory.mktemp("finished")
    return Path(loop.run(make_config(root), QuickWorkers()).path)


@pytest.fixture
def run(finished, tmp_path) -> Path:
    """A copy of the run, with its datasets and stores."""
    shutil.copytree(finished.parents[1], tmp_path / "root", dirs_exist_ok=True)
    return tmp_path / "root" / "runs" / "run"


@pytest.fixture
def config(finished, run):
    """That of the copy, which reads the datasets and stores of the original."""
    features = str(finished.parent / "features")
    where = {"run": {"name": "run", "root": str(run.parent)}, "features": {"root": features}}
    return make_config(finished.parents[1], **where)


@pytest.mark.parametrize(
    "name",
    [
        "round-0/heads/heads.safetensors",
        "round-1/heads/heads.safetensors",
        "round-2/heads/heads.safetensors",
        "round-2/triples.jsonl",
        "round-2/mining.json",
        "round-1/train_log.jsonl",
        "round-1/eval/dev.run.parquet",
        "round-1/eval/test.run.parquet",
        "round-1/eval/test.json",
    ],
)
def test_a_lost_file_is_made_again(run, config, name):
    """A run that ends with: no such file; or one that is called done without its results."""
    before = _files(run)
    assert run / name in before
    (run / name).unlink()
    loop.run(config, QuickWorkers())
    assert _files(run) == before


def test_a_file_that_was_cut_short_is_made_again(run, config):
    """Heads that cannot be read, or a drift of the stages that are made from them."""
    before = _files(run)
    (run / "round-1/heads/heads.safetensors").write_bytes(b"cut")
    loop.run(config, QuickWorkers())
    assert _files(run) == before


def _files(run: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in run.glob("round-*/**/*") if path.is_file()}


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:100]), "heads.safetensors: missing, or"),
        (lambda file: file.unlink(), "heads.safetensors: missing, or of another size"),
        (lambda file: file.with_name("colintern.json").unlink(), "colintern.json: missing, or of"),
    ],
)
def test_heads_that_are_lost_are_told_with_the_command_that_makes_them(run, damage, told):
    """`colintern search` that ends with: incomplete metadata; or: no such file or folder."""
    damage(run / f"round-{best_round(RunFolder(str(run)))}/heads/heads.safetensors")
    with pytest.raises(CheckpointError, match=rf"{told}.*; to make it again, run colintern run"):
        open_finished(str(run))


@pytest.mark.parametrize("name", ["round-1/heads/heads.safetensors", "round-2/triples.jsonl"])
def test_a_file_with_other_bytes_is_named(run, config, name):
    """A drift of two hashes, in a run whose settings nobody has changed: "set them back"."""
    before = _files(run)
    content = before[run / name]
    (run / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DriftError, match=rf"{name}: has other bytes than stage .* or remove it"):
        loop.run(config, QuickWorkers())
    (run / name).unlink()
    loop.run(config, QuickWorkers())
    assert _files(run) == before


def test_a_single_command_names_the_stage_whose_files_are_lost(run, config):
    """`colintern evaluate` that ends with: no such file."""
    (run / "round-1/heads/heads.safetensors").unlink()
    (run / "records/round-1-evaluate-test.json").unlink()
    with pytest.raises(MissingStageError, match=r"round-1-train is missing.* train --round 1"):
        loop.run_round(config, Evaluate, 1, QuickWorkers())
