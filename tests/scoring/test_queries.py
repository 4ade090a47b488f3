"""Query embeddings one after another: how they are cut."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from colintern.scoring.queries import EmbeddedQueries

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=12)


def _queries(lengths: list[int]) -> EmbeddedQueries:
    """Queries whose tokens hold the number of their query, and their own position in all."""
    numbers = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    token_TE = torch.stack([numbers, torch.arange(len(numbers))], dim=1).float()
    return EmbeddedQueries(token_TE, tuple(lengths))


@given(LENGTHS, st.integers(1, 60))
def test_waves_are_whole_queries_within_the_limit(lengths, max_tokens):
    """A query that is lost or cut where a wave ends, or a wave that does not fit into memory."""
    queries = _queries(lengths)
    waves = list(queries.waves(max_tokens))
    assert torch.equal(torch.cat([wave.token_TE for _, wave in waves]), queries.token_TE)
    assert [number for rows, _ in waves for number in range(len(lengths))[rows]] == list(
        range(len(lengths))
    )
    for rows, wave in waves:
        assert wave.lengths == queries.lengths[rows]
        assert len(wave) == 1 or sum(wave.lengths) <= max_tokens


@given(LENGTHS, st.integers(1, 5))
def test_blocks_name_their_first_query(lengths, size):
    """Results that are written under the queries of another block."""
    queries = _queries(lengths)
    blocks = list(queries.blocks(size))
    assert torch.equal(torch.cat([block.token_TE for _, block in blocks]), queries.token_TE)
    for first, block in blocks:
        assert block.token_TE[0, 0] == first
        assert len(block) == min(size, len(lengths) - first)


def test_a_pooled_query_is_the_mean_of_its_own_tokens():
    """A mean over the tokens of the neighbour too."""
    pooled = _queries([2, 3]).pooled()
    assert pooled.tolist() == [[0.0, 0.5], [1.0, 3.0]]
