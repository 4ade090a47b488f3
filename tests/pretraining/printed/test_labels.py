"""What a tile says it shows is what it shows."""

import io
import random

import numpy as np
import pytest
from PIL import Image

from pretraining.classes import CHARACTERS, NO_TOKEN, NOTHING
from pretraining.printed.crops import crops_of
from pretraining.printed.labels import (
    SLOT_COLUMNS,
    SLOT_ROWS,
    PageLabels,
    Place,
)
from pretraining.recipe import CELL_GRID, PATCH, PATCH_GRID, TILE
from pretraining.tokens import WordTokens
from tests.pretraining.printed.helpers import LINES, tokenizer, typed_page


@pytest.fixture(scope="module")
def tokens_of():
    """Shared by the tests: it takes a second to train."""
    return WordTokens(tokenizer())


def _read(characters: np.ndarray) -> list[str]:
    """The letters of each row of patches, from left to right."""
    slots = characters.reshape(PATCH_GRID, PATCH_GRID, 2, 4).transpose(0, 2, 1, 3)
    rows = slots.reshape(2 * PATCH_GRID, 4 * PATCH_GRID)
    return ["".join(CHARACTERS[code - 1] for code in row if code != NOTHING) for row in rows]


def test_a_character_is_in_the_slot_where_it_is_drawn(tmp_path, tokens_of):
    """Labels of another place, or at another scale: everything would be learned wrong."""
    page = typed_page(tmp_path)
    labels = PageLabels(page.printed, tokens_of)
    scale = 14 / page.printed.size
    with Image.open(io.BytesIO(page.jpeg)) as picture:
        point = scale * picture.height / 700  # in pixels of the tile
    # The first letter, a `t` of 12 points, stands at 40, 640 of 600 x 700 points.
    x, y = point * (40 + 12 * 0.278 / 2), point * (700 - 640 - 12 * 0.523 / 2)
    patch_row, patch_column, row, column = 5, 3, 1, 2
    wanted_x = PATCH * (patch_column + (column + 0.5) / SLOT_COLUMNS)
    wanted_y = PATCH * (patch_row + (row + 0.5) / SLOT_ROWS)
    slots = labels.slots_in(Place(x - wanted_x, y - wanted_y, scale, scale))
    found = slots[patch_row * PATCH_GRID + patch_column]
    assert found[row * SLOT_COLUMNS + column] == CHARACTERS.index("t") + 1
    assert (slots[patch_row * PATCH_GRID :][:patch_column] == NOTHING).all()  # nothing before it


def test_rows_are_read_from_left_to_right(tmp_path, tokens_of):
    """Slots in another order than the letters."""
    page = typed_page(tmp_path)
    labels = PageLabels(page.printed, tokens_of)
    scale = 14 / page.printed.size
    place = Place(float(labels.characters.x.min() * scale - 10), 0.0, scale, scale)
    rows = [row for row in _read(labels.slots_in(place)) if row]
    assert LINES[0].replace(" ", "").startswith(rows[0][:12])  # two may share a slot further on


def test_tokens_stand_in_the_cells_of_their_words(tmp_path, tokens_of):
    """A token beside its word, which is then looked for where it is not."""
    page = typed_page(tmp_path)
    labels = PageLabels(page.printed, tokens_of)
    scale = 14 / page.printed.size
    left = float(labels.characters.x.min() * scale - 10)
    top = float(labels.characters.y.min() * scale - 10)
    cells = labels.cells_in(Place(left, top, scale, scale)).reshape(CELL_GRID, CELL_GRID, -1)
    found = cells[0, 0][cells[0, 0] != NO_TOKEN]
    (the, _), *_ = tokens_of("the")
    assert the in found


@pytest.mark.parametrize(
    ("edge", "whole"),
    [
        ("left", "sailor"),  # the next one in its line
        ("right", "the"),
        ("top", "harbour"),  # in the next line
        ("ascenders", "harbour"),
        ("bottom", "lantern"),  # in the line before
        ("descenders", "lantern"),
    ],
)
def test_words_that_the_edge_cuts_are_left_out(tmp_path, tokens_of, edge, whole):
    """Queries about half a word, or about one without the tops of its letters."""
    page = typed_page(tmp_path)
    labels = PageLabels(page.printed, tokens_of)
    first = page.printed.text.index("kettle")
    places = page.printed.places[first : first + len("kettle")]
    scale = 14 / page.printed.size
    left, right, baseline, size = (
        scale * float(value)
        for value in (places[0, 0], places[-1, 1], places[0, 2], page.printed.size)
    )
    middle, around = (left + right) / 2, baseline - TILE / 2
    corner = {
        "left": (middle, around),
        "right": (middle - TILE, around),
        "top": (left - TILE / 2, baseline - 0.2 * size),
        "ascenders": (left - TILE / 2, baseline - 0.5 * size),
        "bottom": (left - TILE / 2, baseline - 0.2 * size - TILE),
        "descenders": (left - TILE / 2, baseline + 0.05 * size - TILE),
    }[edge]
    words = labels.words_in(Place(*corner, scale, scale))
    assert whole in words
    assert "kettle" not in words
    assert "kettle" in labels.words_in(Place(left - TILE / 2, around, scale, scale))


def test_no_label_stands_where_the_paper_is_empty(tmp_path, tokens_of):
    """Crops whose labels are those of another crop."""
    page = typed_page(tmp_path)
    crops = crops_of(page, tokens_of, random.Random(0), 12, (14.0, 15.0))
    assert any(crop.words for crop in crops)
    for crop in crops:
        assert crop.pixels.shape == (TILE, TILE)
        if crop.words:
            patches = crop.pixels.reshape(PATCH_GRID, PATCH, PATCH_GRID, PATCH)
            contrast = np.ptp(patches.astype(int), axis=(1, 3)).flatten()
            is_labelled = (crop.characters != NOTHING).any(1)
            assert contrast[is_labelled].min() > 30


def test_the_same_seed_gives_the_same_crops(tmp_path, tokens_of):
    """A run that goes on otherwise after a stop."""
    page = typed_page(tmp_path)
    first, again = (crops_of(page, tokens_of, random.Random(1), 3, (12.0, 18.0)) for _ in range(2))
    assert all(
        np.array_equal(one.pixels, other.pixels) and np.array_equal(one.tokens, other.tokens)
        for one, other in zip(first, again, strict=True)
    )
