"""Pretraining as a whole, in a tenth of a minute."""

import json
from dataclasses import replace

import pytest
import torch

from colintern.config.schema import BackboneConfig
from colintern.model.backbone import FrozenBackbone
from pretraining import run
from pretraining.batches import normalised
from pretraining.model import fresh_model, whiten_patches
from pretraining.optimizers import orthogonal
from pretraining.recipe import CELL_GRID, PATCH_GRID, TILE, Recipe
from tests.pretraining.test_tiles import SOURCE

SMALL = Recipe(
    steps=4,
    batch=2,
    vocabulary=400,
    vision_width=32,
    vision_layers=1,
    vision_feed_forward=32,
    text_width=32,
    text_layers=1,
    text_feed_forward=32,
    warmup_steps=1,
    retrieval_from=0.5,
)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(run, "sources", lambda: (SOURCE, SOURCE))
    monkeypatch.setattr(run, "_SAVE_EVERY", 2)
    monkeypatch.setattr(run, "_LOG_EVERY", 1)
    monkeypatch.setattr(run, "_HELD_OUT_TILES", 4)
    monkeypatch.setattr(run, "_WHITENING_TILES", 8)
    # In this process: a test needs no printing ahead.
    monkeypatch.setattr(
        run, "_stream", lambda batches, first, last: (batches[n] for n in range(first, last))
    )


def test_a_killed_pretraining_goes_on_to_the_same_weights(quick, monkeypatch, tmp_path):
    """Optimiser state, step or data that is lost on the way."""
    run.pretrain(SMALL, tmp_path / "whole")
    save = run.save_state

    def save_and_die(folder, readers, optimizers, done):
        save(folder, readers, optimizers, done)
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "save_state", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        run.pretrain(SMALL, tmp_path / "killed")
    monkeypatch.setattr(run, "save_state", save)
    run.pretrain(SMALL, tmp_path / "killed")
    whole, killed = (
        (tmp_path / name / "checkpoint" / "model.safetensors").read_bytes()
        for name in ("whole", "killed")
    )
    assert whole == killed
    steps = [
        json.loads(line)
        for line in (tmp_path / "killed" / "log.jsonl").read_text().split("\n")
        if line
    ]
    assert [line["step"] for line in steps if "cells" in line] == [1, 2, 3, 4]


def test_the_checkpoint_loads_by_the_ordinary_path(quick, tmp_path):
    """A checkpoint that only its maker can read."""
    measured = run.pretrain(replace(SMALL, steps=2), tmp_path)
    backbone = FrozenBackbone(BackboneConfig(path=str(tmp_path / "checkpoint")))
    assert backbone.encode_queries(["the lamp"])[0].shape[1] == 32
    assert set(measured) == {"characters", "cells", "recall_at_1"}
    assert all(0 <= value <= 1 for value in measured.values())


def test_whitened_patches_have_variance_one():
    """A first layer that hides what tells letters apart."""
    torch.manual_seed(0)
    model = fresh_model(SMALL, 300, 3)
    noise = torch.rand(16, TILE, TILE).mul(255).byte().numpy()
    pixels = normalised(noise)
    whiten_patches(model, pixels)
    seen = model.vision_tower.embeddings.patch_embeddings(pixels).flatten(0, 1)
    assert torch.allclose(seen.mean(0), torch.zeros(32), atol=1e-3)
    assert torch.allclose(torch.cov(seen.T), torch.eye(32), atol=1e-2)


def test_muon_steps_are_orthogonal():
    """Newton-Schulz that diverges, or that mixes the matrices of a stack."""
    stack = torch.randn(3, 20, 50, generator=torch.Generator().manual_seed(0))
    for shaped in (stack, stack.mT):
        spectrum = torch.linalg.svdvals(orthogonal(shaped))
        assert spectrum.min() > 0.6
        assert spectrum.max() < 1.3
        alone = orthogonal(shaped[1:2])[0]
        assert torch.allclose(orthogonal(shaped)[1], alone, atol=1e-5)


def test_image_tokens_are_the_cells_in_reading_order():
    """Labels by rows for tokens by columns: everything would be learned at the wrong place."""
    model = fresh_model(SMALL, 300, 3)
    rows, columns = torch.meshgrid(
        torch.arange(PATCH_GRID), torch.arange(PATCH_GRID), indexing="ij"
    )
    cell = (rows // 2 * CELL_GRID + columns // 2).float()
    shuffled = model.pixel_shuffle(cell[None, :, :, None], scale_factor=0.5).flatten(1, 2)[0]
    assert torch.equal(shuffled, torch.arange(CELL_GRID**2).float()[:, None].expand(-1, 4))


def test_the_rate_warms_up_stays_and_falls():
    """A schedule that ends at another rate than the recipe says."""
    recipe = Recipe(steps=100, warmup_steps=10, flat_fraction=0.2, last_fraction=0.02)
    rates = [recipe.rate(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[10:21] == [1.0] * 11
    assert rates[100] == pytest.approx(0.02)
