"""A page as tiles of 8-bit pixels, cut as transformers' PIL backend cuts them.

Nothing here imports torch or transformers: processes that only decode pages start in half a second
and take 80 MB instead of 380.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Tiler:
    """How pages are cut.

    Attributes:
        height: of a tile, in pixels.
        width: of a tile, in pixels.
        max_tiles: of a page, without its thumbnail.
        resample: the filter that pages are resized with.
    """

    height: int
    width: int
    max_tiles: int
    resample: Image.Resampling

    def __call__(self, image: Image.Image) -> np.ndarray:
        """The tiles of an RGB page in reading order, and its thumbnail where there are several.

        Cut from the PIL image: transformers would first make an array of the whole page, a
        gigabyte for a page of 100 megapixels.

        Returns:
            uint8 [tiles, 3, height, width]; a few megabytes for any size of page.
        """
        rows, columns = tile_grid(*image.size, (self.height, self.width), self.max_tiles)
        size = columns * self.width, rows * self.height
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
def tile_grid(width: int, height: int, tile: tuple[int, int], max_tiles: int) -> tuple[int, int]:
    """Rows and columns of tiles for a page of this size in pixels.

    The grid whose aspect ratio is nearest to the page's. Of equally near ones the larger, unless
    its tiles would have more than twice the page's pixels. As InternVL's `dynamic_preprocess` and
    transformers' `get_optimal_tiled_canvas` choose.

    Args:
        width: of the page.
        height: of the page.
        tile: height and width of a tile.
        max_tiles: the most tiles in a grid.
    """
    wanted, area = width / height, width * height
    best, least = (1, 1), float("inf")
    for columns, rows in _grids(max_tiles):
        difference = abs(wanted - columns / rows)
        is_filled = area > 0.5 * tile[0] * tile[1] * columns * rows
        if difference < least or (difference == least and is_filled):
            best, least = (rows, columns), difference
    return best


@lru_cache(maxsize=16)
def _grids(max_tiles: int) -> list[tuple[int, int]]:
    """All (columns, rows) of at most so many tiles, those of the fewest tiles first."""
    sides = range(1, max_tiles + 1)
    grids = [(columns, rows) for columns in sides for rows in sides if columns * rows <= max_tiles]
    return sorted(grids, key=lambda grid: grid[0] * grid[1])
