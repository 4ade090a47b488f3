"""What a tile says it shows is what it shows."""

import random

import numpy as np
import pytest

from pretraining.printed.characters import CHARACTERS
from pretraining.printed.crops import crops_of
from pretraining.printed.labels import NO_TOKEN, NOTHING, PageLabels, Place, WordTokens
from pretraining.recipe import CELL_GRID, PATCH, PATCH_GRID, TILE
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


def test_a_tile_is_labelled_with_what_stands_in_it(tmp_path, tokens_of):
    """Labels of another place, or at another scale: everything would be learned wrong."""
    page = typed_page(tmp_path)
    labels = PageLabels(page.printed, tokens_of)
    scale = 14 / page.printed.size
    place = Place(float(labels.characters.x.min() * scale - 10), 0.0, scale, scale)
    rows = [row for row in _read(labels.slots_in(place)) if row]
    first = LINES[0].replace(" ", "")
    assert rows
    assert first.startswith(rows[0][:12])  # two letters may share a slot further on


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


def test_crops_have_the_words_that_stand_wholly_in_them(tmp_path, tokens_of):
    """Queries about words that are cut by the edge."""
    page = typed_page(tmp_path)
    crops = crops_of(page, tokens_of, random.Random(0), 12, (14.0, 15.0))
    known = {word for line in LINES for word in line.split()}
    assert {word for crop in crops for word in crop.words} <= known
    assert any(crop.words for crop in crops)
    for crop in crops:
        assert crop.pixels.shape == (TILE, TILE)
        if crop.words:
            patches = crop.pixels.reshape(PATCH_GRID, PATCH, PATCH_GRID, PATCH)
            contrast = np.ptp(patches.astype(int), axis=(1, 3)).flatten()
            is_labelled = (crop.characters != NOTHING).any(1)
            assert contrast[is_labelled].min() > 30  # no label where the paper is empty


def test_the_same_seed_gives_the_same_crops(tmp_path, tokens_of):
    """A run that goes on otherwise after a stop."""
    page = typed_page(tmp_path)
    first, again = (crops_of(page, tokens_of, random.Random(1), 3, (12.0, 18.0)) for _ in range(2))
    assert all(
        np.array_equal(one.pixels, other.pixels) and np.array_equal(one.tokens, other.tokens)
        for one, other in zip(first, again, strict=True)
    )
