"""The model at its start: heads look at their neighbours, and places stay."""

import pytest
import torch

from pretraining.batches import normalised
from pretraining.model import random_model
from pretraining.printed import model as printed_model
from pretraining.printed.batches import TileBatch
from pretraining.printed.model import Prompt, Readers, keep_places, local_start
from pretraining.printed.recipe import Recipe
from pretraining.recipe import PATCH_GRID, TILE

SMALL = Recipe(
    vision_width=128,
    vision_layers=2,
    vision_heads=4,
    vision_feed_forward=64,
    text_width=32,
    text_layers=1,
    text_feed_forward=32,
)


@pytest.fixture
def started():
    torch.manual_seed(0)
    model = random_model(SMALL, 300, 3).eval()
    pixels = normalised(torch.rand(4, TILE, TILE).mul(255).byte())
    local_start(model, pixels)
    return model, pixels


def test_every_head_looks_at_its_neighbour(started):
    """Attention that is spread over the tile, or that looks the other way."""
    model, pixels = started
    tower = model.vision_tower
    layer = tower.encoder.layer[0]
    seen = layer.layernorm_before(tower.embeddings(pixels[:1]))
    split = (1, -1, SMALL.vision_heads, SMALL.vision_width // SMALL.vision_heads)
    query = layer.attention.q_proj(seen).view(split).transpose(1, 2)
    key = layer.attention.k_proj(seen).view(split).transpose(1, 2)
    weights = (query @ key.mT * split[-1] ** -0.5).softmax(-1)[0, :, 1:, 1:]
    row, column = 8, 8
    at = weights[:, row * PATCH_GRID + column].argmax(-1)
    looked = [(int(n) % PATCH_GRID - column, int(n) // PATCH_GRID - row) for n in at]
    assert looked == list(printed_model._OFFSETS[: SMALL.vision_heads])


def test_places_are_put_back(started):
    """Places that training washes out."""
    model, pixels = started
    before = model.vision_tower.embeddings(pixels)[..., -64:]
    with torch.no_grad():
        for parameter in model.vision_tower.embeddings.parameters():
            parameter.add_(0.1)
    keep_places(model)
    after = model.vision_tower.embeddings(pixels)[..., -64:]
    assert torch.equal(before[:, 1:], after[:, 1:])


def _batch(grey_NTT: torch.Tensor) -> TileBatch:
    nothing, query = torch.zeros(0), torch.tensor([[7, 5, 9]])
    return TileBatch(
        characters_NGS=nothing,
        tokens_NCK=nothing,
        query_BQ=query,
        query_mask_BQ=query == 5,
        tile_B=torch.tensor([0]),
        grey_NTT=grey_NTT,
        prefix_mask_BQ=query == 7,
    )


@pytest.fixture
def readers() -> Readers:
    torch.manual_seed(0)
    return Readers(SMALL, random_model(SMALL, 300, 3), 69, 8).eval()


@torch.no_grad()
def test_a_token_is_named_by_its_direction(readers):
    """Long states or embeddings that win whatever they point at."""
    seen = readers(_batch(torch.zeros(1, TILE, TILE)), Prompt((7, 8), (9,)), group=1)
    embeddings = readers.model.get_input_embeddings().weight
    logits = seen.name(7.0 * embeddings[[5, 9]])
    assert logits.argmax(-1).tolist() == [5, 9]
    assert logits.amax(-1).tolist() == pytest.approx([SMALL.naming_scale] * 2, abs=1e-3)


@torch.no_grad()
def test_grouped_tiles_keep_their_places(readers):
    """Cells of one tile that are given out as another's."""
    grey, prompt = torch.rand(2, TILE, TILE).mul(255).byte(), Prompt((7, 8), (9,))
    alone = readers(_batch(grey[:1]), prompt, group=1).state_NCH
    together = readers(_batch(grey), prompt, group=2).state_NCH
    assert together.shape == (2, 64, 32)
    assert torch.allclose(together[0], alone[0], atol=1e-5)  # the LLM reads from the left


@torch.no_grad()
def test_states_are_matched_as_they_are_with_the_prefix(readers):
    """Heads that ColIntern does not have, or scores that leave out what a run counts."""
    seen = readers(_batch(torch.zeros(1, TILE, TILE)), Prompt((7, 8), (9,)), group=1)
    assert seen.page_NCE is seen.state_NCH
    assert seen.query_BQE is seen.text_BQH
    assert seen.scored_BQ.tolist() == [[True, True, False]]
