"""A page as tiles of 8-bit pixels, cut as transformers' PIL backend cuts them.

With `backbone.pad_to_grid` a page is first drawn in its own shape on a white sheet of whole tiles,
at the left and the top. The sheet is then cut, and made small, as any page of its size.

Nothing here imports torch or transformers: processes that only decode pages start in half a second
and take 80 MB instead of 380.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

# More pixels than twice its own say nothing new about a page; InternVL's choice has this bound too.
_MOST_ENLARGED = math.sqrt(2)
_ALIKE = 0.98  # ten-point text of 15 pixels is a third of a pixel lower: not worth a tile


@dataclass(frozen=True)
class Tiler:
    """How pages are cut.

    Attributes:
        height: of a tile, in pixels.
        width: of a tile, in pixels.
        max_tiles: of a page, without its thumbnail.
        resample: the filter that pages are resized with.
        pad_to_grid: whether pages keep their shape, on white, or are stretched to fill all tiles.
    """

    height: int
    width: int
    max_tiles: int
    resample: Image.Resampling
    pad_to_grid: bool = False

    def __call__(self, image: Image.Image) -> np.ndarray:
        """The tiles of an RGB page in reading order, and its thumbnail where there are several.

        Cut from the PIL image: transformers would first make an array of the whole page, a
        gigabyte for a page of 100 megapixels.

        Returns:
            uint8 [tiles, 3, height, width]; a few megabytes for any size of page.
        """
        tile = self.height, self.width
        rows, columns = tile_grid(*image.size, tile, self.max_tiles, self.pad_to_grid)
        size = sheet_size((rows, columns), tile)
        if self.pad_to_grid:
            drawn = image.resize(drawn_size(image.size, (rows, columns), tile), self.resample)
            image = Image.new("RGB", size, "white")
            image.paste(drawn)
        canvas = np.asarray(image.resize(size, self.resample))
        # [rows, height, columns, width, 3] to [rows, columns, 3, height, width]
        cut = canvas.reshape(rows, self.height, columns, self.width, 3).transpose(0, 2, 4, 1, 3)
        num_tiles = rows * columns
        has_thumbnail = num_tiles > 1
        tiles = np.empty((num_tiles + has_thumbnail, 3, self.height, self.width), np.uint8)
        tiles[:num_tiles].reshape(cut.shape)[:] = cut
        if has_thumbnail:
            thumbnail = np.asarray(image.resize((self.width, self.height), self.resample))
            tiles[-1] = thumbnail.transpose(2, 0, 1)
        return tiles


@lru_cache(maxsize=4_096)
def tile_grid(
    width: int, height: int, tile: tuple[int, int], max_tiles: int, pad_to_grid: bool = False
) -> tuple[int, int]:
    """Rows and columns of tiles for a page of this size in pixels.

    The grid whose aspect ratio is nearest to the page's. Of equally near ones the larger, unless
    its tiles would have more than twice the page's pixels. As InternVL's `dynamic_preprocess` and
    transformers' `get_optimal_tiled_canvas` choose.

    With `pad_to_grid` the grid that draws the page largest. Of grids that draw it nearly as large,
    within 2 %, or with more than twice its own pixels, the one of the fewest tiles.

    Args:
        width: of the page.
        height: of the page.
        tile: height and width of a tile.
        max_tiles: the most tiles in a grid.
        pad_to_grid: whether the page keeps its shape.
    """
    if pad_to_grid:
        return _padded_grid(width, height, tile, max_tiles)
    wanted, area = width / height, width * height
    best, least = (1, 1), float("inf")
    for columns, rows in _grids(max_tiles):
        difference = abs(wanted - columns / rows)
        is_filled = area > 0.5 * tile[0] * tile[1] * columns * rows
        if difference < least or (difference == least and is_filled):
            best, least = (rows, columns), difference
    return best


def drawn_size(
    size: tuple[int, int], tiles: tuple[int, int], tile: tuple[int, int]
) -> tuple[int, int]:
    """Width and height in pixels of a page that is drawn in its own shape on a grid of tiles.

    It fills one of the grid's two sides; rounding to whole pixels is all that changes its shape.

    Args:
        size: width and height of the page.
        tiles: rows and columns of tiles.
        tile: height and width of a tile.
    """
    (width, height), sheet = size, sheet_size(tiles, tile)
    scale = min(sheet[0] / width, sheet[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def sheet_size(tiles: tuple[int, int], tile: tuple[int, int]) -> tuple[int, int]:
    """Width and height in pixels of all rows and columns of tiles together."""
    return tiles[1] * tile[1], tiles[0] * tile[0]


def _padded_grid(width: int, height: int, tile: tuple[int, int], max_tiles: int) -> tuple[int, int]:
    scales = {
        (rows, columns): min(columns * tile[1] / width, rows * tile[0] / height, _MOST_ENLARGED)
        for columns, rows in _grids(max_tiles)
    }
    enough = _ALIKE * max(scales.values())
    return next(grid for grid, scale in scales.items() if scale >= enough)


@lru_cache(maxsize=16)
def _grids(max_tiles: int) -> list[tuple[int, int]]:
    """All (columns, rows) of at most so many tiles, those of the fewest tiles first."""
    sides = range(1, max_tiles + 1)
    grids = [(columns, rows) for columns in sides for rows in sides if columns * rows <= max_tiles]
    return sorted(grids, key=lambda grid: grid[0] * grid[1])
