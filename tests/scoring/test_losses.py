"""Losses against the formulas of the papers, and their masks."""

import math

import pytest
import torch

from colintern.scoring.losses import infonce_loss, pairwise_loss

SCORES = torch.tensor([[0.5, 0.4, 0.9], [0.1, 0.6, 0.2]])
POSITIVE = torch.tensor([0, 1])
MASK = torch.tensor([[True, True, False], [True, True, True]])
NEGATIVES = torch.tensor([[0.45, 0.7], [0.3, 0.0]])
NEGATIVE_MASK = torch.tensor([[True, False], [True, True]])


def test_infonce_counts_only_allowed_negatives():
    """A masked page (another positive of the query) that pushes, or a mined one that does not."""
    loss = infonce_loss(SCORES, POSITIVE, MASK, NEGATIVES, NEGATIVE_MASK, temperature=0.5)
    for row, others in enumerate(([0.4, 0.45], [0.1, 0.2, 0.3, 0.0])):
        positive = SCORES[row, POSITIVE[row]].item()
        total = sum(math.exp(score / 0.5) for score in (positive, *others))
        assert loss[row].item() == pytest.approx(-math.log(math.exp(positive / 0.5) / total))


def test_pairwise_takes_the_hardest_allowed_negative():
    """The hardest negative that is masked out, taken all the same."""
    loss = pairwise_loss(SCORES, POSITIVE, MASK, NEGATIVES, NEGATIVE_MASK, temperature=0.5)
    for row, hardest in enumerate((0.45, 0.3)):
        difference = (hardest - SCORES[row, POSITIVE[row]].item()) / 0.5
        assert loss[row].item() == pytest.approx(math.log1p(math.exp(difference)))


@pytest.mark.parametrize("loss_function", [infonce_loss, pairwise_loss])
def test_a_row_without_negatives_is_zero(loss_function):
    """NaN when nothing is left to compare with."""
    scores = SCORES.clone().requires_grad_()
    loss = loss_function(scores, POSITIVE, torch.zeros_like(MASK))
    loss.sum().backward()
    assert loss.tolist() == [0.0, 0.0]
    assert scores.grad is not None
    assert scores.grad.isfinite().all()
