"""Pages are cut by transformers' own rules, by code that needs neither it nor torch."""

import subprocess
import sys

import hypothesis.strategies as st
import pytest
from hypothesis import example, given
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas

from colintern.model.tiles import tile_grid

_SIDES = st.integers(1, 5_000)


@given(_SIDES, _SIDES, st.sampled_from([(448, 448), (224, 224), (30, 60)]), st.integers(1, 16))
@example(896, 448, (448, 448), 12)  # exactly 1 x 2, which 2 x 4 fits as well
@example(1240, 1754, (448, 448), 12)
def test_grids_are_transformers_own(width, height, tile, max_tiles):
    """Pages that another library would cut otherwise: other features under the same settings."""
    columns, rows = get_optimal_tiled_canvas((height, width), tile, 1, max_tiles)
    assert tile_grid(width, height, tile, max_tiles) == (rows, columns)


@pytest.mark.parametrize("library", ["torch", "transformers"])
def test_preparing_pages_needs_no(library):
    """Sixteen processes that decode pages, each with 300 MB of libraries for models."""
    program = f"import sys, colintern.features.preparing; print({library!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
