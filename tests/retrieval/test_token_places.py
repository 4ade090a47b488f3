"""Where stored tokens lie, however few of them are stored."""

import numpy as np
import pytest
import torch

from colintern.errors import UserError
from colintern.features.codec import Codec
from colintern.features.reduction import Reduction
from colintern.features.store import PageLayout
from colintern.model.boxes import token_boxes, union
from colintern.retrieval.token_places import token_places

LAYOUT = PageLayout((90, 61), (2, 1))  # two tiles of 3 x 3 tokens, and the thumbnail
GRID = (3, 3)


def _codec(**reduction: int) -> Codec:
    return Codec("bfloat16", 8, GRID, Reduction(**reduction))


def _features(seed: int = 0) -> torch.Tensor:
    return torch.randn(27, 8, generator=torch.Generator().manual_seed(seed))


def _not_needed() -> torch.Tensor:
    raise AssertionError("the page is encoded again for nothing")


@pytest.mark.parametrize("merge", [1, 2])
def test_tokens_that_are_not_clustered(merge):
    """A page that is encoded anew for places that are known."""
    codec = _codec(merge=merge)
    stored = codec.encode_page(_features())
    boxes, is_thumbnail, parts = token_places(LAYOUT, codec, None, stored, _not_needed)
    wanted, wanted_thumbnail = token_boxes(LAYOUT.size, LAYOUT.tiles, GRID, merge)
    assert len(boxes) == len(stored)
    assert np.array_equal(boxes, wanted)
    assert np.array_equal(is_thumbnail, wanted_thumbnail)
    assert np.array_equal(np.concatenate(parts), wanted)


@pytest.mark.parametrize("merge", [1, 2])
def test_the_parts_of_a_cluster_are_those_it_is_the_mean_of(merge):
    """A box of one token for a mean of many, or of tokens that belong to another mean."""
    codec = _codec(merge=merge, max_tokens=5)
    features = _features()
    stored = codec.encode_page(features)
    boxes, is_thumbnail, parts = token_places(LAYOUT, codec, None, stored, lambda: features)
    assert len(boxes) == len(stored) == len(parts) == 5
    cluster_P = codec.reduction.clusters(features, GRID)
    single = _codec(merge=merge).reduction.reduced(features, GRID)
    box_P4, is_thumbnail_P = token_boxes(LAYOUT.size, LAYOUT.tiles, GRID, merge)
    for number in range(5):
        mean = single[torch.from_numpy(cluster_P == number)].mean(dim=0)
        assert torch.allclose(stored.decoded()[number], mean, atol=0.02)
        own = box_P4[(cluster_P == number) & ~is_thumbnail_P]
        assert is_thumbnail[number] == (not len(own))
        if len(own):
            assert np.array_equal(parts[number], own)
        assert np.array_equal(boxes[number], union(parts[number]))
    assert max(map(len, parts)) > 1


def test_a_cluster_of_the_thumbnail_alone():
    """Coarse boxes in a heat map as if they were fine ones."""
    codec, features = _codec(max_tokens=2), torch.zeros(27, 8)
    features[:18, 0] = features[18:, 1] = 1.0
    stored = codec.encode_page(features)
    boxes, is_thumbnail, _ = token_places(LAYOUT, codec, None, stored, lambda: features)
    assert is_thumbnail.tolist() == [False, True]
    assert boxes.tolist() == [[0, 0, 90, 61]] * 2


def test_clusters_with_tokens_of_padding():
    """A box that reaches to the edge of the page for what stands beside it."""
    codec, features = _codec(max_tokens=3), torch.zeros(27, 8)
    features[:7, 0] = features[7:15, 1] = features[15:, 2] = 1.0
    stored = codec.encode_page(features)
    # Drawn 30 x 20 on 30 x 60 pixels: the tiles show the page in six tokens, then padding.
    boxes, is_thumbnail, parts = token_places(LAYOUT, codec, (30, 30), stored, lambda: features)
    assert is_thumbnail.tolist() == [False, False, True]
    assert boxes[:2].tolist() == [[0, 0, 90, 61], [0, 61, 90, 61]]
    assert [len(part) for part in parts] == [6, 8, 12]


def test_other_features_than_those_of_the_store():
    """Places of one clustering for the scores of another."""
    codec = _codec(max_tokens=5)
    stored = codec.encode_page(_features())
    with pytest.raises(UserError, match="open the run on the kind of device"):
        token_places(LAYOUT, codec, None, stored, lambda: _features(seed=1))
