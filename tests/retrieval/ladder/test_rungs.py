"""Which kinds of vectors are compared, how large they are, and which are on the frontier."""

import numpy as np
import pytest

from colintern.retrieval.ladder.rungs import all_rungs, frontier, token_limit


def test_the_kinds_of_a_usual_run_and_their_sizes():
    """A kind that is left out; a size of other numbers, or of bits that are counted as bytes."""
    rungs = all_rungs(128, np.full(10, 64, np.int32))
    found = {(rung.dim, rung.share, rung.dtype): rung for rung in rungs}
    assert len(rungs) == len(found) == 36
    assert [rung for rung in rungs if rung.is_full] == [found[128, "all", "float32"]]
    sizes = {
        (128, "all", "float32"): 64 * 128 * 4,
        (64, "1/2", "float16"): 32 * 64 * 2,
        (32, "1/4", "int8"): 16 * 32,
        (32, "1/4", "binary"): 16 * 32 // 8,
    }
    assert {key: found[key].page_bytes for key in sizes} == sizes
    full = found[128, "all", "float32"]
    assert full.gib_per_million_pages == pytest.approx(32_768e6 / 2**30)
    assert full.options == "--dtype float32"
    assert found[64, "1/2", "int8"].options == "--dim 64 --tokens 32 --dtype int8"


@pytest.mark.parametrize(("width", "dims"), [(48, [48, 24, 12]), (3, [3, 1]), (1, [1])])
def test_other_heads_are_halved_too(width, dims):
    """Vectors of no number; the same kind twice."""
    rungs = all_rungs(width, np.array([8]))
    assert list(dict.fromkeys(rung.dim for rung in rungs)) == dims
    assert len(set(rungs)) == len(rungs) == len(dims) * 12


@pytest.mark.parametrize(
    ("num_tokens", "part", "limit"),
    [
        ([64, 64], 2, 32),
        ([64, 64], 4, 16),
        ([10, 90], 2, 40),  # the short page keeps its 10
        ([9, 9, 9], 2, 4),  # 12 of 27: with 5 more than a half would be left
        ([1, 1, 2], 4, 1),  # a page without any vector cannot be found
    ],
)
def test_a_share_is_that_of_all_pages_together(num_tokens, part, limit):
    """Half of the longest page for all, which leaves far more than half where pages differ."""
    assert token_limit(np.array(num_tokens, np.int32), part) == limit


def test_the_mean_is_of_what_is_left():
    """The mean of the limit, where short pages have fewer."""
    means = {rung.share: rung.mean_tokens for rung in all_rungs(8, np.array([10, 90]))}
    assert means == {"all": 50.0, "1/2": 25.0, "1/4": 12.5}


def test_only_what_nothing_beats_is_on_the_frontier():
    """One that is larger and no better, or as large and worse; equal ones that hide each other."""
    points = {
        (8, 0.9): True,
        (9, 0.9): False,
        (4, 0.7): True,
        (4, 0.6): False,
        (2, 0.7): False,
        (2, 0.8): True,
    }
    expected = list(points.values())
    expected[2] = False  # 2 bytes give 0.8
    assert frontier(*zip(*points, strict=True)) == expected
    assert frontier([1, 1], [0.5, 0.5]) == [True, True]
