"""Training of `reader-print` as a whole, in a few steps."""

import json
from dataclasses import replace
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
    """Pages of two kinds; of each kind one document is held out."""
    folder = tmp_path_factory.mktemp("printed")
    (folder / "pages").mkdir()
    for kind in ("tex", "web"):
        documents = [
            Document(
                typed_pdf(folder / f"{kind}{n}.pdf", LINES[n:] + LINES[:n]), f"{kind}{n}", kind
            )
            for n in range(3)
        ]
        write_pages(documents, folder / "pages" / f"{kind}-typed.arrow")
    return Corpus(folder, ("lamp", "kettle"))


@pytest.fixture
def quick(monkeypatch):
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


def test_a_run_that_was_stopped_gives_the_same_weights(quick, pages, tmp_path, monkeypatch):
    """Hours that are lost, or a run that goes on as another one: tiles, optimisers."""
    run.pretrain(RECIPE, pages, tmp_path / "whole")
    steps = run._train_step

    def stops(*arguments):
        if arguments[5] == STEPS - 2:
            raise KeyboardInterrupt
        return steps(*arguments)

    monkeypatch.setattr(run, "_train_step", stops)
    with pytest.raises(KeyboardInterrupt):
        run.pretrain(RECIPE, pages, tmp_path / "stopped")
    monkeypatch.setattr(run, "_train_step", steps)
    run.pretrain(RECIPE, pages, tmp_path / "stopped")
    assert _weights(tmp_path / "stopped") == _weights(tmp_path / "whole")

    lines = (tmp_path / "stopped/log.jsonl").read_text().splitlines()
    logged = [json.loads(line) for line in lines]
    assert [line["step"] for line in logged if "cells" in line] == list(range(1, STEPS + 1))
    assert "tokens" in next(line for line in logged if line["step"] == STEPS)
    # at the end of each cycle
    _, held_out = (line["held_out"] for line in logged if "held_out" in line)
    assert set(held_out) == {"tex", "web", "11 px", "13 px", "18 px"}

    backbone = FrozenBackbone(BackboneConfig(path=str(tmp_path / f"whole/checkpoint-{STEPS}")))
    assert backbone.encode_queries(["the lamp"])[0].shape[1] == 32
