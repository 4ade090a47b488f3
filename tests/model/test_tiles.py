"""Pages are cut by transformers' own rules, by code that needs neither it nor torch."""

import subprocess
import sys

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given
from PIL import Image
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import (
    GotOcr2ImageProcessorPil,
    get_optimal_tiled_canvas,
)

from colintern.model.tiles import Tiler, drawn_size, tile_grid

_SIDES = st.integers(1, 5_000)


@given(_SIDES, _SIDES, st.sampled_from([(448, 448), (224, 224), (30, 60)]), st.integers(1, 16))
@example(896, 448, (448, 448), 12)  # exactly 1 x 2, which 2 x 4 fits as well
@example(1240, 1754, (448, 448), 12)
def test_grids_are_transformers_own(width, height, tile, max_tiles):
    """Pages that another library would cut otherwise: other features under the same settings."""
    columns, rows = get_optimal_tiled_canvas((height, width), tile, 1, max_tiles)
    assert tile_grid(width, height, tile, max_tiles) == (rows, columns)


@pytest.mark.parametrize(
    ("size", "max_tiles", "wanted"),
    [
        ((1_654, 2_339), 24, (6, 4)),  # A4 at 200 dots an inch
        ((1_700, 2_200), 24, (6, 4)),  # letter, which InternVL's choice draws on (4, 3)
        ((1_700, 2_200), 12, (4, 3)),
        ((2_200, 1_700), 24, (4, 6)),
        ((1_440, 1_080), 12, (3, 4)),
        ((800, 3_200), 24, (8, 2)),  # a receipt
        ((454, 1_814), 24, (8, 2)),  # (8, 3) would draw it a thousandth larger
        ((595, 842), 24, (6, 4)),  # A4 at 72 dots an inch: ten-point text becomes 15 pixels high
        ((224, 224), 24, (2, 2)),
        ((100, 141), 24, (1, 1)),
        ((4, 5_000), 24, (24, 1)),
    ],
)
def test_a_padded_page_is_drawn_as_large_as_helps(size, max_tiles, wanted):
    """Small print on half of the tiles that are allowed, or an icon that is blown up to them all.

    By hand: tiles of 224 pixels, a page drawn at most 1.41 times as wide and as high as it is.
    """
    assert tile_grid(*size, (224, 224), max_tiles, pad_to_grid=True) == wanted


@given(_SIDES, _SIDES, st.sampled_from([(448, 448), (30, 60)]), st.integers(1, 16))
def test_padding_never_makes_a_page_smaller(width, height, tile, max_tiles):
    """A page that is shrunk more than InternVL's choice shrinks either of its sides."""
    rows, columns = tile_grid(width, height, tile, max_tiles, pad_to_grid=True)
    assert rows * columns <= max_tiles
    own, other = (
        min(grid[1] * tile[1] / width, grid[0] * tile[0] / height)
        for grid in ((rows, columns), tile_grid(width, height, tile, max_tiles))
    )
    assert own >= 0.98 * min(other, 2**0.5)


@pytest.mark.parametrize("size", [(90, 40), (40, 90), (32, 97), (300, 200), (57, 57), (10, 8)])
@pytest.mark.parametrize("max_tiles", [4, 12])
def test_a_padded_page_is_a_sheet_that_transformers_cuts(size, max_tiles):
    """Pixels that another library cannot make of the same white sheet; a page that is stretched."""
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    page = Image.fromarray(pixels)
    tiles = tile_grid(*size, (28, 28), max_tiles, pad_to_grid=True)
    drawn = drawn_size(size, tiles, (28, 28))
    assert abs(drawn[0] * size[1] - drawn[1] * size[0]) <= max(size) / 2
    sheet = np.full((28 * tiles[0], 28 * tiles[1], 3), 255, np.uint8)
    sheet[: drawn[1], : drawn[0]] = page.resize(drawn, Image.Resampling.BICUBIC)
    images = GotOcr2ImageProcessorPil(size={"height": 28, "width": 28}, crop_to_patches=True)
    limit = {"min_patches": 1, "max_patches": tiles[0] * tiles[1]}
    options = {"do_rescale": False, "do_normalize": False, "return_tensors": "np"}
    expected = images(images=[Image.fromarray(sheet)], **limit, **options)["pixel_values"]
    found = Tiler(28, 28, max_tiles, Image.Resampling.BICUBIC, pad_to_grid=True)(page)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("library", ["torch", "transformers"])
def test_preparing_pages_needs_no(library):
    """Sixteen processes that decode pages, each with 300 MB of libraries for models."""
    program = f"import sys, colintern.features.preparing; print({library!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
