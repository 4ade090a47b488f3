"""How large is small print in the tiles of a page, with InternVL's choice of grid and padded?

`python benchmarks/tiles.py` prints the height of ten-point text in pixels, and the tiles of a page,
for both values of `backbone.pad_to_grid`. Where a page is stretched, the side that is shrunk more
counts. `--tile 224` tells it of a backbone with smaller tiles.
"""

import argparse

from colintern.model.tiles import drawn_size, sheet_size, tile_grid

PAGES = {  # inches
    "A4": (8.27, 11.69),
    "letter": (8.5, 11),
    "slide, 4:3": (10, 7.5),
    "slide, 16:9": (13.33, 7.5),
    "square": (8, 8),
    "receipt, 1:4": (3.15, 12.6),
}
MAX_TILES = (6, 12, 24, 36)
TEN_POINTS = 10 / 72  # inches


def cell(size: tuple[float, float], dots: int, tile: int, max_tiles: int, pad_to_grid: bool) -> str:
    """Pixels of ten-point text, and how many tiles."""
    width, height = (round(side * dots) for side in size)
    grid = tile_grid(width, height, (tile, tile), max_tiles, pad_to_grid)
    filled = (drawn_size((width, height), grid, (tile, tile)), sheet_size(grid, (tile, tile)))
    drawn = filled[0] if pad_to_grid else filled[1]
    shrunk = min(pixels / side for pixels, side in zip(drawn, size, strict=True))
    return f"{TEN_POINTS * shrunk:.0f} ({grid[0] * grid[1]})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tile", type=int, default=448, help="pixels")
    parser.add_argument("--dots", type=int, default=144, help="of a page, an inch")
    asked = parser.parse_args()
    print("| page | " + " | ".join(f"`max_tiles: {number}`" for number in MAX_TILES) + " |")
    print("|---" * (len(MAX_TILES) + 1) + "|")
    for name, size in PAGES.items():
        cells = (
            " to ".join(cell(size, asked.dots, asked.tile, number, pad) for pad in (False, True))
            for number in MAX_TILES
        )
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
