"""Fewer tokens for a page: the means of neighbours, and the means of clusters."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from torch import Tensor

from colintern.features.reduction import Reduction, clustered, merged


def _tokens(number: int, seed: int = 0, width: int = 5) -> Tensor:
    return torch.randn(number, width, generator=torch.Generator().manual_seed(seed))


def _merged_by_hand(token_PH: Tensor, rows: int, columns: int) -> Tensor:
    found = []
    for tile in token_PH.reshape(-1, rows, columns, token_PH.shape[1]):
        for top in range(0, rows, 2):
            for left in range(0, columns, 2):
                block = tile[top : top + 2, left : left + 2].flatten(0, 1)
                found.append(block.double().mean(dim=0))
    return torch.stack(found)


@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5))
@settings(deadline=None, max_examples=30)
def test_merging_is_the_mean_of_neighbours(tiles, rows, columns):
    """Neighbours across tiles; columns for rows; zeros averaged in at an odd edge."""
    token_PH = _tokens(tiles * rows * columns)
    found = merged(token_PH, (rows, columns), 2)
    torch.testing.assert_close(
        found.double(), _merged_by_hand(token_PH, rows, columns), atol=1e-6, rtol=0
    )
    assert len(found) == Reduction(merge=2).num_tokens(tiles, (rows, columns))


@pytest.mark.parametrize("number", [1, 7, 30, 59])
def test_clusters_are_those_of_scipy(number):
    """Another criterion, tokens that are not normalised, or means of the normalised ones."""
    token_PH = _tokens(60) * torch.arange(1, 61)[:, None]
    unit = torch.nn.functional.normalize(token_PH, dim=1).numpy().astype(np.float64)
    label_P = fcluster(linkage(unit, "ward"), number, "maxclust")
    by_first = sorted(set(label_P), key=list(label_P).index)
    expected = [token_PH[torch.from_numpy(label_P == label)].mean(dim=0) for label in by_first]
    found = clustered(token_PH, number)
    torch.testing.assert_close(found, torch.stack(expected), atol=1e-5, rtol=1e-5)
    assert len(found) == number


def test_a_limit_that_is_not_passed_changes_nothing():
    """A page of few tokens that is rounded, or put in another order."""
    token_PH = _tokens(9)
    for limit in (9, 10):
        assert torch.equal(clustered(token_PH, limit), token_PH)


def test_equal_tokens_are_one_cluster_and_there_are_as_many_as_planned():
    """Blank parts of a page that fill its tokens; fewer tokens than the plan says, by ties."""
    blank, text = _tokens(1, 1).expand(40, 5), _tokens(6, 2)
    token_PH = torch.cat([blank[:20], text, blank[20:]])
    expected = torch.cat([blank[:1], text])
    torch.testing.assert_close(clustered(token_PH, 7), expected, atol=1e-6, rtol=0)
    assert len(clustered(token_PH, 12)) == Reduction(max_tokens=12).num_tokens(1, (1, 46)) == 12


def test_merging_comes_before_clustering():
    """Clusters of tokens that are no neighbours, merged as if they were."""
    token_PH = _tokens(32)
    found = Reduction(merge=2, max_tokens=3).reduced(token_PH, (4, 4))
    assert torch.equal(found, clustered(merged(token_PH, (4, 4), 2), 3))
    assert len(found) == 3
