"""Where on its page each token of a page is: the geometry of tiling, without any model.

A page is resized to rows x columns of tiles (`model.tiles`). The tokens of a tile stand in a grid
of their own, row by row, and the thumbnail, the whole page once more, comes last. Where pages are
padded, boxes end at the edge of the page, and a token of nothing but padding has an empty one.
Shapes: P page tokens, R rows and C columns of tokens in a tile.
"""

import numpy as np

from colintern.model.tiles import drawn_size, sheet_size


def token_boxes(
    size: tuple[int, int],
    tiles: tuple[int, int],
    tile_tokens: tuple[int, int],
    merge: int = 1,
    padded_tile: tuple[int, int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The part of the page that each token covers.

    The boxes of all tiles together cover the page once, without a gap or an overlap; those of the
    thumbnail cover it once more.

    Args:
        size: width and height of the page, in pixels.
        tiles: rows and columns of tiles.
        tile_tokens: R and C.
        merge: `features.merge`: so many rows and columns of tokens are one; at the edge of a tile
            whose side does not divide, those that are there.
        padded_tile: with `backbone.pad_to_grid` height and width of a tile, in pixels; None where
            a page fills its tiles.

    Returns:
        box_P4, float32, left, top, right and bottom in pixels of the page; and is_thumbnail_P.
    """
    covered = _covered(size, tiles, padded_tile)
    box_P4 = _grid_boxes(size, covered, tiles, tile_tokens, merge)
    num_tile_tokens = len(box_P4)
    if tiles != (1, 1):
        box_P4 = np.concatenate([box_P4, _grid_boxes(size, covered, (1, 1), tile_tokens, merge)])
    return box_P4, np.arange(len(box_P4)) >= num_tile_tokens


def is_on_page(box_P4: np.ndarray) -> np.ndarray:
    """Which boxes are not empty, bool [P]: not those of tokens of padding alone."""
    return (box_P4[:, 0] < box_P4[:, 2]) & (box_P4[:, 1] < box_P4[:, 3])


def union(box_M4: np.ndarray) -> np.ndarray:
    """The smallest box [4] around several."""
    return np.concatenate([box_M4[:, :2].min(axis=0), box_M4[:, 2:].max(axis=0)])


def _covered(
    size: tuple[int, int], tiles: tuple[int, int], padded_tile: tuple[int, int] | None
) -> tuple[float, float]:
    """Width and height of what all tiles cover, padding included, in pixels of the page."""
    if padded_tile is None:
        return size
    drawn, sheet = drawn_size(size, tiles, padded_tile), sheet_size(tiles, padded_tile)
    return size[0] * sheet[0] / drawn[0], size[1] * sheet[1] / drawn[1]


def _grid_boxes(
    size: tuple[int, int],
    covered: tuple[float, float],
    tiles: tuple[int, int],
    tile_tokens: tuple[int, int],
    merge: int,
) -> np.ndarray:
    """The boxes of rows x columns of tiles, tile by tile, inside a tile row by row."""
    (width, height), (rows, columns) = size, tiles
    top_RI, bottom_RI = _spans(height, covered[1], rows, tile_tokens[0], merge)
    left_CJ, right_CJ = _spans(width, covered[0], columns, tile_tokens[1], merge)
    shape = (rows, columns, top_RI.shape[1], left_CJ.shape[1])
    sides = [
        np.broadcast_to(side, shape)
        for side in (
            left_CJ[None, :, None, :],
            top_RI[:, None, :, None],
            right_CJ[None, :, None, :],
            bottom_RI[:, None, :, None],
        )
    ]
    return np.stack(sides, axis=-1).reshape(-1, 4)


def _spans(
    length: int, covered: float, num_tiles: int, num_tokens: int, merge: int
) -> tuple[np.ndarray, np.ndarray]:
    """Where tokens begin and end on one side of a page: float32 [tiles, tokens in a tile] each.

    Neighbours share the very same number, so that rounding leaves no gap between them.
    """
    starts = np.arange(num_tiles)[:, None] * num_tokens + np.arange(0, num_tokens, merge)
    edges = np.append(starts.ravel(), num_tiles * num_tokens) * (covered / (num_tiles * num_tokens))
    edges = np.minimum(edges, length).astype(np.float32)  # what is as near as rounding is the end
    return edges[:-1].reshape(starts.shape), edges[1:].reshape(starts.shape)
