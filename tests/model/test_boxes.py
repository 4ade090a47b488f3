"""The places of tokens on their page."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from colintern.model.boxes import is_on_page, token_boxes, union
from colintern.model.tiles import Tiler, tile_grid

SIDES = st.integers(1, 4)
PIXELS = st.integers(8, 64)


@given(
    size=st.tuples(st.integers(4, 3_000), st.integers(4, 3_000)),
    tiles=st.tuples(SIDES, SIDES),
    tile_tokens=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    merge=st.integers(1, 4),
    padded_tile=st.none() | st.tuples(PIXELS, PIXELS),
)
def test_boxes_cover_the_page_once(size, tiles, tile_tokens, merge, padded_tile):
    """A gap or an overlap, of odd sizes, of merged tokens at the edge, padding or rounding."""
    box_P4, is_thumbnail_P = token_boxes(size, tiles, tile_tokens, merge, padded_tile)
    is_empty = ~is_on_page(box_P4)
    assert (box_P4 >= 0).all()
    assert (box_P4 <= [*size, *size]).all()
    assert (box_P4[:, :2] <= box_P4[:, 2:]).all()
    assert padded_tile or not is_empty.any()
    for is_own in (~is_thumbnail_P, is_thumbnail_P):
        if not is_own.any():
            assert tiles == (1, 1)
            continue
        own = box_P4[is_own & ~is_empty]
        rows = {(top, bottom) for _, top, _, bottom in own.tolist()}
        columns = {(left, right) for left, _, right, _ in own.tolist()}
        assert len(own) == len({tuple(box) for box in own.tolist()}) == len(rows) * len(columns)
        for spans, length in ((sorted(columns), size[0]), (sorted(rows), size[1])):
            assert spans[0][0] == 0
            assert spans[-1][1] == length
            assert all(end == start for (_, end), (start, _) in pairwise(spans))
            assert all(start < end for start, end in spans)


@pytest.mark.parametrize("pad_to_grid", [False, True])
@pytest.mark.parametrize("size", [(200, 100), (101, 307), (64, 64), (40, 200)])
def test_a_mark_lies_in_the_box_of_the_token_that_sees_it(size, pad_to_grid):
    """Boxes of another order than the tokens', rows taken for columns, or padding for page."""
    height, width, grid = 8, 16, (2, 4)  # pixels of a tile; its tokens see 4 x 4 of them
    tile = (height, width)
    tiler = Tiler(height, width, 6, Image.Resampling.BOX, pad_to_grid)
    tiles = tile_grid(*size, tile, 6, pad_to_grid)
    box_P4, is_thumbnail_P = token_boxes(
        size, tiles, grid, padded_tile=tile if pad_to_grid else None
    )
    is_read_P = ~is_thumbnail_P & is_on_page(box_P4)
    for mark in ((3, 5), (size[0] - 1, 2), (size[0] // 2, size[1] - 1)):
        picture = np.full((size[1], size[0], 3), 255, np.uint8)
        picture[mark[1], mark[0]] = 0
        tile_N3HW = 255 - tiler(Image.fromarray(picture)).astype(int)
        tokens = tile_N3HW.sum(1).reshape(-1, 2, 4, 4, 4).sum((2, 4)).ravel()
        assert len(tokens) == len(box_P4)
        seen = int(np.argmax(np.where(is_read_P, tokens, -1)))
        left, top, right, bottom = box_P4[seen]
        assert left <= mark[0] + 0.5 <= right
        assert top <= mark[1] + 0.5 <= bottom


def test_the_thumbnail_comes_last_and_only_with_several_tiles():
    """Coarse boxes in a heat map, or the boxes of a small page left out of it."""
    _, is_thumbnail_P = token_boxes((50, 100), (2, 1), (3, 3))
    assert is_thumbnail_P.tolist() == [False] * 18 + [True] * 9
    assert not token_boxes((50, 50), (1, 1), (3, 3))[1].any()


def test_tokens_of_padding_have_empty_boxes():
    """A heat map that lights the edge of a page for what stands beside it."""
    # 40 x 60 pixels on two tiles of 30 x 30 side by side: drawn 20 x 30, so a third of the sheet.
    box_P4, is_thumbnail_P = token_boxes((40, 60), (1, 2), (3, 3), padded_tile=(30, 30))
    row = [[0, 0, 20, 20], [20, 0, 40, 20], [40, 0, 40, 20]]
    assert box_P4[:3].tolist() == row
    assert box_P4[9:12].tolist() == [[40, 0, 40, 20]] * 3
    assert box_P4[is_thumbnail_P][:3].tolist() == [[0, 0, 40, 20], [40, 0, 40, 20], [40, 0, 40, 20]]
    assert is_on_page(box_P4).tolist() == ([True, True, False] * 3 + [False] * 9) + (
        [True, False, False] * 3
    )


def test_merged_tokens_have_the_union_of_their_boxes():
    """The box of one of four tokens for their mean."""
    fine, _ = token_boxes((90, 60), (1, 1), (3, 3))
    coarse, _ = token_boxes((90, 60), (1, 1), (3, 3), merge=2)
    members = [[0, 1, 3, 4], [2, 5], [6, 7], [8]]
    assert np.array_equal(coarse, [union(fine[own]) for own in members])
