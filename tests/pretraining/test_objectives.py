"""The losses ask for what the tiles say, and for nothing else."""

import math

import pytest
import torch

from pretraining.objectives import TileBatch, token_loss
from pretraining.tiles import NO_TOKEN


def _batch(query_BQ: list[list[int]], tokens_NK: list[list[int]], tile_B: list[int]) -> TileBatch:
    query = torch.tensor(query_BQ)
    nothing = torch.zeros(0)
    return TileBatch(
        pixels_N3TT=nothing,
        characters_NGS=nothing,
        tokens_NCK=torch.tensor(tokens_NK)[:, None, :],
        query_BQ=query,
        query_mask_BQ=query > 0,
        tile_B=torch.tensor(tile_B),
    )


def test_a_token_is_not_driven_away_from_other_tiles_that_hold_it():
    """Equal words on two tiles, of which one counts as wrong."""
    batch = _batch([[5, 0]], [[5, NO_TOKEN], [5, 9], [7, NO_TOKEN]], [0])
    logits_BNQ = torch.tensor([[[1.0, 3.0], [50.0, 60.0], [0.0, 70.0]]])
    expected = -math.log(math.e / (math.e + 1))  # against the third tile alone; padding is left out
    assert token_loss(logits_BNQ, batch).item() == pytest.approx(expected)


def test_a_token_that_only_its_tile_holds_is_told_from_all_others():
    """A mask that takes the negatives away too."""
    batch = _batch([[7]], [[5], [5], [7]], [2])
    logits_BNQ = torch.zeros(1, 3, 1)
    assert token_loss(logits_BNQ, batch).item() == pytest.approx(math.log(3.0))
