"""The printer's labels are what stands on the tile."""

import random

import numpy as np
import pytest

from pretraining.classes import CHARACTERS, NO_TOKEN, NOTHING
from pretraining.recipe import CELL_GRID, PATCH, PATCH_GRID, TILE
from pretraining.text import Source
from pretraining.tiles import TilePrinter
from pretraining.tokens import train_tokenizer

SOURCE = Source(
    ("The lamp stands beside the window. It was bought in spring, and it is yellow.",) * 3,
    ("lantern", "ladder", "mirror"),
)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(SOURCE.texts, 400)


@pytest.fixture
def tile(tokenizer):
    return TilePrinter(tokenizer).print(SOURCE, random.Random(5))


def test_the_characters_under_the_patches_spell_the_rows(tile):
    """Labels that are shifted against the picture."""
    printed = "".join("".join(row) for row in tile.rows).lower()
    kept = [int(code) for code in tile.characters.reshape(-1) if code != NOTHING]
    spelled = "".join(CHARACTERS[code - 1] for code in kept)
    assert len(printed) > 60
    assert spelled == "".join(letter for letter in printed if letter in CHARACTERS)


def test_ink_stands_where_the_labels_say(tile):
    """Labels of another tile, or of another grid."""
    ink = (tile.pixels < 128).reshape(PATCH_GRID, PATCH, PATCH_GRID, PATCH).any(axis=(1, 3))
    labelled = (tile.characters != NOTHING).any(axis=1).reshape(PATCH_GRID, PATCH_GRID)
    assert tile.pixels.shape == (TILE, TILE)
    assert labelled.sum() > 20
    assert (ink & labelled).sum() / labelled.sum() > 0.95


def test_every_token_of_the_rows_stands_in_a_cell(tile, tokenizer):
    """Tokens that are lost, or that the query side would cut otherwise."""
    words = [word for row in tile.rows for word in row]
    wanted = sorted(
        token for word in words for token in tokenizer(word, add_special_tokens=False)["input_ids"]
    )
    found = sorted(int(token) for token in tile.tokens.reshape(-1) if token != NO_TOKEN)
    assert tile.tokens.shape[0] == CELL_GRID**2
    assert found == wanted


def test_the_same_number_prints_the_same_tile(tokenizer):
    """A printer that remembers more than widths."""
    first, second = TilePrinter(tokenizer), TilePrinter(tokenizer)
    first.print(SOURCE, random.Random(1))
    one, two = (printer.print(SOURCE, random.Random(2)) for printer in (first, second))
    assert np.array_equal(one.pixels, two.pixels)
    assert np.array_equal(one.tokens, two.tokens)


def test_a_word_is_the_same_tokens_wherever_it_stands(tokenizer):
    """Spaces and brackets that make another word of a word: pages have places, not spaces."""
    alone = tokenizer("window", add_special_tokens=False)["input_ids"]
    inside = tokenizer("the (Window)", add_special_tokens=False)["input_ids"]
    assert inside[-len(alone) - 1 : -1] == alone
