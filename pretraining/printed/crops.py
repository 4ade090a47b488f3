"""Tiles cut from pages: anywhere, at any size of text that InternVL's tiling gives."""

import io
import random
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pretraining.classes import NO_TOKEN, NOTHING
from pretraining.printed.labels import (
    CELL_SLOTS,
    PATCH_SLOTS,
    PageLabels,
    Place,
)
from pretraining.printed.pages import PageRow
from pretraining.recipe import CELL_GRID, PATCH_GRID, TILE
from pretraining.tokens import WordTokens

_TRIES = 3  # places that are looked at; the one with most text is cut
_THUMBNAILS = 0.03  # of the tiles show a whole page, as the last tile of each page does
_INVERTED = 0.03  # of the tiles are white on black
_MIN_SCALE, _MAX_SCALE = 0.35, 1.5


@dataclass(frozen=True)
class Crop:
    """A tile and its labels, as `labels` has them.

    Attributes:
        pixels: [TILE, TILE] uint8.
        characters: [G, S] uint8.
        tokens: [C, K] int16.
        words: that stand wholly in it, in the order in which they were printed.
    """

    pixels: np.ndarray
    characters: np.ndarray
    tokens: np.ndarray
    words: tuple[str, ...]


def crops_of(
    page: PageRow,
    tokens_of: WordTokens,
    draw: random.Random,
    count: int,
    sizes: tuple[float, float],
) -> list[Crop]:
    """Some tiles of a page, all at one scale.

    Args:
        page: the page.
        tokens_of: the tokens of a word.
        draw: decides.
        count: of tiles.
        sizes: the least and the largest size of the page's font, in pixels of a tile.
    """
    with Image.open(io.BytesIO(page.jpeg)) as picture:
        picture.load()
    labels = PageLabels(page.printed, tokens_of)
    scale = min(max(draw.uniform(*sizes) / page.printed.size, _MIN_SCALE), _MAX_SCALE)
    x_scale, y_scale = scale * draw.uniform(0.94, 1.04), scale * draw.uniform(0.97, 1.04)
    crops = []
    for _ in range(count):
        if draw.random() < _THUMBNAILS:
            crops.append(_thumbnail(picture))
            continue
        place = _place(labels, picture.size, draw, x_scale, y_scale)
        pixels = _cut(picture, place)
        if draw.random() < _INVERTED:
            pixels = 255 - pixels
        cells, slots = labels.cells_in(place), labels.slots_in(place)
        crops.append(Crop(pixels, slots, cells, labels.words_in(place)))
    return crops


def _place(
    labels: PageLabels, size: tuple[int, int], draw: random.Random, x_scale: float, y_scale: float
) -> Place:
    found = labels.characters

    def around_a_character() -> Place:
        number = draw.randrange(len(found.x))
        left = found.x[number] * x_scale - draw.uniform(20, TILE - 24)
        top = found.y[number] * y_scale - draw.uniform(20, TILE - 24)
        return Place(
            min(max(left, 0.0), max(size[0] * x_scale - TILE, 0.0)),
            min(max(top, 0.0), max(size[1] * y_scale - TILE, 0.0)),
            x_scale,
            y_scale,
        )

    places = [around_a_character() for _ in range(_TRIES)]
    return max(places, key=lambda place: len(found.inside(place).what))


def _cut(picture: Image.Image, place: Place) -> np.ndarray:
    left, top, right, bottom = place.box
    box = (left, top, min(right, picture.width), min(bottom, picture.height))
    width = round((box[2] - left) * place.x_scale)
    height = round((box[3] - top) * place.y_scale)
    tile = picture.resize((width, height), Image.Resampling.BICUBIC, box=box)
    if tile.size == (TILE, TILE):
        return np.asarray(tile)
    padded = Image.new("L", (TILE, TILE), 255)
    padded.paste(tile)
    return np.asarray(padded)


def _thumbnail(picture: Image.Image) -> Crop:
    pixels = np.asarray(picture.resize((TILE, TILE), Image.Resampling.BICUBIC))
    characters = np.full((PATCH_GRID**2, PATCH_SLOTS), NOTHING, np.uint8)
    tokens = np.full((CELL_GRID**2, CELL_SLOTS), NO_TOKEN, np.int16)
    return Crop(pixels, characters, tokens, ())
