"""Training of `reader-print` as a whole, in a few steps."""

import json
import pickle
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from colintern.config.schema import BackboneConfig
from colintern.model.backbone import FrozenBackbone
from pretraining.printed import corpus, run
from pretraining.printed.corpus import Corpus
from pretraining.printed.pages import Document, write_pages
from tests.pretraining.printed.helpers import LINES, typed_pdf
from tests.pretraining.printed.test_model import SMALL

STEPS = 6
RECIPE = replace(
    SMALL,
    cycles=(STEPS - 3, STEPS),
    batch=8,
    shares=(("tex", 0.5), ("web", 0.5)),
    warmup_steps=1,
    retrieval_from=2,
    spans_per_tile=2,
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Corpus:
    """Pages of two kinds; of each kind one document is held out, and has other words."""
    folder = tmp_path_factory.mktemp("printed")
    (folder / "pages").mkdir()
    for kind in ("tex", "web"):
        lines = {n: LINES[n:] + LINES[:n] for n in (1, 2)}
        lines[0] = tuple(" ".join(reversed(line.split())) for line in LINES)
        documents = [
            Document(typed_pdf(folder / f"{kind}{n}.pdf", lines[n]), f"{kind}{n}", kind)
            for n in range(3)
        ]
        write_pages(documents, folder / "pages" / f"{kind}-typed.arrow")
    return Corpus(folder, ("lamp", "kettle"))


@pytest.fixture
def quick(monkeypatch):
    _hurry(monkeypatch)


def _hurry(monkeypatch) -> None:
    monkeypatch.setattr(corpus, "is_held", lambda document: document.endswith("0"))
    monkeypatch.setattr(run, "_SAVE_SECONDS", 0)
    monkeypatch.setattr(run, "_LOG_EVERY", 1)
    monkeypatch.setattr(run, "_HELD_OUT_TILES", 4)
    monkeypatch.setattr(run, "_WHITENING_BATCHES", 2)
    # In this process: a test needs no batches ahead.
    monkeypatch.setattr(
        run, "_ahead", lambda batches, first, last: (batches[n] for n in range(first, last))
    )


def _weights(folder: Path) -> bytes:
    return (folder / f"checkpoint-{STEPS}/model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def whole(pages, tmp_path_factory) -> Path:
    """The folder of a run that nobody has stopped."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        _hurry(patch)
        run.pretrain(RECIPE, pages, folder)
    return folder


@pytest.mark.parametrize(
    ("dies_in", "call"),
    [("save_state", 2), ("write_checkpoint", STEPS - 3), ("write_checkpoint", STEPS)],
)
def test_a_run_that_was_killed_gives_the_same_weights(
    quick, pages, whole, tmp_path, monkeypatch, dies_in, call
):
    """Hours that are lost; a run that goes on as another one; a finished model that is left out."""
    does, calls = getattr(run, dies_in), count(1)

    def dies(*arguments):
        if next(calls) == call:
            raise KeyboardInterrupt
        return does(*arguments)

    monkeypatch.setattr(run, dies_in, dies)
    with pytest.raises(KeyboardInterrupt):
        run.pretrain(RECIPE, pages, tmp_path / "stopped")
    run.pretrain(RECIPE, pages, tmp_path / "stopped")
    assert _weights(tmp_path / "stopped") == _weights(whole)

    lines = (tmp_path / "stopped/log.jsonl").read_text().splitlines()
    logged = [json.loads(line) for line in lines]
    assert [line["step"] for line in logged if "cells" in line] == list(range(1, STEPS + 1))
    assert "tokens" in next(line for line in logged if line["step"] == STEPS)
    measured = {line["step"]: line["held_out"] for line in logged if "held_out" in line}
    assert list(measured) == list(RECIPE.cycles)
    held_out = measured[STEPS]
    assert set(held_out) == {"tex", "web", "11 px", "13 px", "18 px"}

    backbone = FrozenBackbone(BackboneConfig(path=str(tmp_path / f"stopped/checkpoint-{STEPS}")))
    assert backbone.encode_queries(["the lamp"])[0].shape[1] == 32


def test_the_process_that_cuts_tiles_is_not_sent_the_pages(quick, pages):
    """Gigabytes in memory twice, which are a file that can be mapped."""
    stream = run._Stream(pages, RECIPE, [1, 2])
    before = len(pickle.dumps(stream))
    first = stream[-1]
    assert len(pickle.dumps(stream)) == before
    again = pickle.loads(pickle.dumps(stream))[-1]
    assert first.grey_NTT.equal(again.grey_NTT)


def test_a_run_needs_no_pages_of_every_kind(quick, pages, tmp_path, monkeypatch):
    """`--pdfs` with a few files of one's own: no TeX, no HTML, none that is held out."""
    shares = (*RECIPE.shares, ("manual", 0.5))
    monkeypatch.setattr(corpus, "is_held", lambda document: False)
    alone = replace(RECIPE, shares=shares, cycles=(1,))
    run.pretrain(alone, pages, tmp_path)
    assert (tmp_path / "checkpoint-1").is_dir()
