"""Matching asks for what the tiles say, and remembers earlier tiles."""

import torch

from pretraining.printed.labels import NO_TOKEN
from pretraining.printed.objectives import Memory, tokens_held


def test_which_tokens_a_tile_holds():
    """Padding that counts as a token, or cells that are mixed up between tiles."""
    tokens_NCK = torch.tensor([[[5, NO_TOKEN], [7, 5]], [[NO_TOKEN] * 2, [0, NO_TOKEN]]])
    holds = tokens_held(tokens_NCK, 9)
    assert [row.nonzero().flatten().tolist() for row in holds] == [[5, 7], [0]]


def test_the_memory_forgets_the_oldest():
    """A memory that grows with every step, or keeps gradients of steps that are over."""
    memory = Memory(size=3, num_tokens=9, width=4)
    for number in range(5):
        state = torch.full((1, 64, 4), float(number), requires_grad=True)
        memory.add(state, torch.zeros(1, 9, dtype=torch.bool))
    assert memory.state_MCH[:, 0, 0].tolist() == [2.0, 3.0, 4.0]
    assert len(memory.holds_MV) == 3
    assert not memory.state_MCH.requires_grad
