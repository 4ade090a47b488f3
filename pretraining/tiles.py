"""Draws tiles, and labels what is printed at each position.

Shape letters: N tiles, G patches of a tile, C cells (image tokens) of a tile, S characters a patch
can hold, K tokens a cell can hold.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw
from transformers import PreTrainedTokenizerFast

from colintern.data.demo.render import BASELINE, GRID, page_font
from pretraining.classes import CODES, NO_TOKEN, NOTHING
from pretraining.recipe import CELL, CELL_GRID, PATCH, PATCH_GRID, TILE
from pretraining.text import Source, tile_words
from pretraining.tokens import Piece, WordTokens

PATCH_SLOTS = 4
CELL_SLOTS = 8


@dataclass(frozen=True)
class Tile:
    """A picture and its labels.

    Attributes:
        pixels: [TILE, TILE] uint8.
        characters: [G, S] uint8, the characters whose middles lie in each patch, left to right.
        tokens: [C, K] int16, the tokens whose middles lie in each cell, then `NO_TOKEN`.
        rows: the words of every printed row.
    """

    pixels: np.ndarray
    characters: np.ndarray
    tokens: np.ndarray
    rows: tuple[tuple[str, ...], ...]


class TilePrinter:
    """Prints tiles; remembers the width and the tokens of every word."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokens_of = WordTokens(tokenizer)

    def print(self, source: Source, draw: random.Random) -> Tile:
        """Print one tile; its rows of text are on the patch grid, at any horizontal position."""
        canvas = _Canvas()
        words = tile_words(source, draw)
        pitch = draw.choice((1, 2))  # one or two rows of text in a cell
        left = draw.uniform(1, 28) if draw.random() < 0.5 else 6.0
        right = TILE - draw.choice((2, 6, 6, 40))
        gap_odds = draw.choice((0.0, 0.0, 0.15))
        rows = []
        for row in range(pitch * draw.randrange(3), draw.randint(10, PATCH_GRID), pitch):
            if draw.random() < 0.04:
                canvas.rule(row + pitch - 1)
                continue
            printed, x = [], left
            while True:
                word = next(words)[:24]
                offsets = character_offsets(word)
                if x + offsets[-1] > right:
                    break
                canvas.word(row, x, word, offsets, self._tokens_of(word))
                printed.append(word)
                x += offsets[-1] + _space_width()
                if draw.random() < gap_odds:
                    x += draw.uniform(5, 80)
            if printed:
                rows.append(tuple(printed))
        return canvas.tile(tuple(rows))


class _Canvas:
    """A tile that is being drawn."""

    def __init__(self) -> None:
        self._image = Image.new("L", (TILE, TILE), 255)
        self._draw = ImageDraw.Draw(self._image)
        self._characters: list[list[int]] = [[] for _ in range(PATCH_GRID**2)]
        self._tokens: list[list[int]] = [[] for _ in range(CELL_GRID**2)]

    def rule(self, row: int) -> None:
        y = row * GRID + GRID // 2
        self._draw.line((6, y, TILE - 6, y), fill=110)

    def word(
        self, row: int, x: float, word: str, offsets: Sequence[float], pieces: Sequence[Piece]
    ) -> None:
        self._draw.text((x, row * GRID + BASELINE), word, font=page_font(), fill=0, anchor="ls")
        patches = self._characters[row * PATCH_GRID : (row + 1) * PATCH_GRID]
        for index, character in enumerate(word.lower()):
            middle = x + (offsets[index] + offsets[index + 1]) / 2
            patches[int(middle) // PATCH].append(CODES.get(character, NOTHING))
        first_cell = (row * GRID // CELL) * CELL_GRID
        for token, position in pieces:
            whole = min(int(position), len(offsets) - 2)
            part = position - whole
            middle = x + offsets[whole] * (1 - part) + offsets[whole + 1] * part
            self._tokens[first_cell + int(middle) // CELL].append(token)

    def tile(self, rows: tuple[tuple[str, ...], ...]) -> Tile:
        return Tile(
            np.asarray(self._image),
            _padded(self._characters, PATCH_SLOTS, NOTHING, np.uint8),
            _padded(self._tokens, CELL_SLOTS, NO_TOKEN, np.int16),
            rows,
        )


def _padded(rows: Sequence[Sequence[int]], width: int, filler: int, dtype: type) -> np.ndarray:
    """Rows of different lengths as an array; what is beyond `width` is dropped."""
    cut = [[*row[:width], *[filler] * (width - len(row))] for row in rows]
    return np.array(cut, dtype)


@lru_cache(maxsize=200_000)
def character_offsets(word: str) -> tuple[float, ...]:
    """Where each character of a word begins, and where the last one ends, in pixels."""
    return tuple(page_font().getlength(word[:end]) for end in range(len(word) + 1))


@lru_cache(maxsize=1)
def _space_width() -> float:
    return page_font().getlength(" ")
