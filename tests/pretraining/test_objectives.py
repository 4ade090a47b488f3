"""The losses ask for what the tiles say, and for nothing else."""

import math
from dataclasses import replace

import pytest
import torch

from pretraining.classes import NO_TOKEN, NOTHING
from pretraining.objectives import Labels, Seen, losses, reading, token_loss
from pretraining.recipe import Weights


def _batch(query_BQ: list[list[int]], tokens_NK: list[list[int]], tile_B: list[int]) -> Labels:
    query = torch.tensor(query_BQ)
    return Labels(
        characters_NGS=torch.zeros(0),
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


def test_a_tile_holds_the_tokens_of_all_its_cells():
    """Only the first cell of a tile looked at: its other words count as wrong elsewhere."""
    batch = _batch([[5]], [[5, NO_TOKEN]] * 2, [0])
    cells = torch.tensor([[[9, 5]], [[7, 5]]]).mT  # two cells of one token
    found = token_loss(torch.tensor([[[0.0], [9.0]]]), replace(batch, tokens_NCK=cells))
    assert found == 0  # the other tile holds it too, in its second cell


def test_a_token_that_only_its_tile_holds_is_told_from_all_others():
    """A mask that takes the negatives away too."""
    batch = _batch([[7]], [[5], [5], [7]], [2])
    logits_BNQ = torch.zeros(1, 3, 1)
    assert token_loss(logits_BNQ, batch).item() == pytest.approx(math.log(3.0))


# Two tiles of one patch and one cell; each has a query of two tokens, the first a prefix.
LABELS = Labels(
    characters_NGS=torch.tensor([[[2]], [[NOTHING]]]),
    tokens_NCK=torch.tensor([[[1, NO_TOKEN]], [[2, NO_TOKEN]]]),
    query_BQ=torch.tensor([[0, 1], [0, 2]]),
    query_mask_BQ=torch.tensor([[False, True], [False, True]]),
    tile_B=torch.tensor([0, 1]),
)
ONE, TWO, NONE = torch.eye(3)[[1, 2, 0]]  # the states that name the tokens 1, 2 and 0


def _seen(cells: tuple[torch.Tensor, torch.Tensor], *, scored: bool) -> Seen:
    """States that name their own token with a logit of 3, and are matched by other lengths."""
    state_NCH = torch.stack(cells)[:, None]
    text_BQH = torch.stack([torch.stack([NONE, ONE]), torch.stack([NONE, TWO])])
    return Seen(
        logits_NGSL=torch.tensor([[[[0.0, 0.0, 4.0]]], [[[0.0, 0.0, 9.0]]]]),
        state_NCH=state_NCH,
        text_BQH=text_BQH,
        name=lambda states: 3.0 * states,
        page_NCE=5.0 * state_NCH,
        query_BQE=0.2 * text_BQH,
        scored_BQ=torch.tensor([[scored, True], [scored, True]]),
    )


def test_every_part_counts_with_its_weight():
    """A part that is left out, or one that counts for another."""
    weights = Weights(1.0, 20.0, 300.0, 4_000.0, 50_000.0, retrieval_scale=2.0)
    total, parts = losses(_seen((ONE, TWO), scored=True), LABELS, weights, retrieval=True)
    named = math.log1p(2 * math.exp(-3))
    assert parts == pytest.approx(
        {
            # a printed character, and an empty slot that is taken for one, of weight 0.1
            "characters": (math.log1p(2 * math.exp(-4)) + 0.1 * 9.0002468) / 1.1,
            "cells": named,
            "text": named,
            # cosines of 1 at the own tile and 0 at the other; of the prefix 0 at both
            "retrieval": math.log1p(math.exp(-1)),
            "tokens": math.log1p(math.exp(-2)),
        },
        rel=1e-4,
    )
    expected = sum(
        weight * part
        for weight, part in zip((1, 20, 300, 4_000, 50_000), parts.values(), strict=True)
    )
    assert total.item() == pytest.approx(expected)

    early, parts = losses(_seen((ONE, TWO), scored=True), LABELS, weights, retrieval=False)
    assert list(parts) == ["characters", "cells", "text"]
    assert early.item() == pytest.approx(parts["characters"] + 320 * named, rel=1e-4)


def test_what_is_read_is_counted():
    """Shares that count blanks, or one tile's cells for another's."""
    right = reading(_seen((ONE, TWO), scored=False), LABELS)
    assert right == {"characters": 1.0, "cells": 1.0, "recall_at_1": 1.0}
    swapped = reading(_seen((TWO, ONE), scored=False), LABELS)
    assert swapped == {"characters": 1.0, "cells": 0.0, "recall_at_1": 0.0}
