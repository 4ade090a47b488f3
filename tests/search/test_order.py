"""The order of results: score descending, then page id."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from colintern.search import order

SCORES = st.lists(
    st.floats(-2, 2, width=32) | st.sampled_from([0.0, -0.0, 0.5]), min_size=1, max_size=30
)


@given(SCORES, st.integers(1, 40), st.randoms(use_true_random=False))
def test_best_is_the_sorted_order(scores, depth, random):
    """Ties in another order than page id, -0.0 below 0.0, or a score changed by packing."""
    ordinals = list(range(len(scores)))
    expected = sorted(ordinals, key=lambda ordinal: (-(scores[ordinal] + 0.0), ordinal))[:depth]
    random.shuffle(ordinals)
    keys = order.to_keys(
        torch.tensor([[scores[ordinal] for ordinal in ordinals]]), torch.tensor(ordinals)
    )
    best = order.best(keys, depth)
    assert order.to_ordinals(best)[0].tolist()[: len(expected)] == expected
    found = order.to_scores(best)[0].tolist()
    assert found[: len(expected)] == [scores[ordinal] + 0.0 for ordinal in expected]
    assert found[len(expected) :] == [float("-inf")] * (depth - len(expected))


@given(SCORES, st.integers(1, 5), st.integers(1, 10))
def test_merged_shards_equal_one_list(scores, num_shards, depth):
    """A merge that loses a page or breaks ties by shard (property 6)."""
    keys = order.to_keys(torch.tensor([scores]), torch.arange(len(scores)))
    parts = [order.best(part, depth) for part in keys.tensor_split(num_shards, dim=1)]
    assert torch.equal(order.merge(parts, depth), order.best(keys, depth))
