"""`colintern export`, from the command to the files."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from colintern.cli import app
from colintern.errors import ExportError, MissingStageError, UserError
from colintern.model.checkpoint import find_checkpoint
from colintern.retrieval.export.export import export_run
from colintern.retrieval.finished import open_finished
from colintern.retrieval.narrowing import narrowed, principal_axes


def _export(*arguments: str):
    return CliRunner().invoke(app, ["export", *arguments])


def test_the_round_that_is_asked_for(run, tmp_path):
    """Heads of another round than the one that is named, or than the best."""
    out = tmp_path / "out"
    for options, number in (([], run.round_number), (["--round", "1"], 1)):
        done = _export(run.folder.path, "--out", str(out), *options)
        assert done.exit_code == 0, done.output
        assert done.output.startswith(f"round {number}, both sides, 16 numbers a vector, ")
        heads = open_finished(run.folder.path, number).heads
        written = load_file(out / "1_Router" / "query_0_Dense" / "model.safetensors")
        assert torch.equal(written["linear.weight"], heads.query.weight)
        assert json.loads((out / "export.json").read_text())["round"] == number


def test_fewer_numbers_are_those_of_every_other_command(run, tmp_path):
    """`--dim` that cuts without a turn, or turns by axes of its own."""
    out = tmp_path / "out"
    done = _export(run.folder.path, "--out", str(out), "--dim", "8", "--side", "page")
    assert done.exit_code == 0, done.output
    assert " page, 8 numbers a vector, " in done.output
    wanted = narrowed(run.heads, principal_axes(run), 8).page.weight
    assert torch.equal(load_file(out / "1_Dense" / "model.safetensors")["linear.weight"], wanted)
    assert json.loads((out / "1_Dense" / "config.json").read_text())["out_features"] == 8


def test_the_weights_of_the_backbone_are_copied(run, tmp_path):
    """A backbone that was loaded in one type and saved in another, at twice the size."""
    export_run(run, str(tmp_path / "out"))
    folder = find_checkpoint(run.config.backbone)
    for name in ("model.safetensors", "tokenizer.json"):
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--round", "7"], MissingStageError),
        (["--dim", "17"], UserError),
        (["--out", "s3://bucket/out"], ExportError),
    ],
)
def test_mistakes_write_nothing(run, tmp_path, options, error):
    """A traceback, or a folder, for what cannot be exported."""
    done = _export(run.folder.path, "--out", str(tmp_path / "out"), *options)
    assert isinstance(done.exception, error)
    assert "\n" not in str(done.exception)
    assert not list(Path(tmp_path).iterdir())
