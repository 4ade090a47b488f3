"""What a tile of a page shows: the characters of its patches, and the tokens of its cells.

Shape letters: G patches of a tile, C cells (image tokens) of a tile, S character slots of a patch,
K tokens a cell can hold.
"""

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pretraining.classes import CODES, NO_TOKEN, NOTHING
from pretraining.printed.characters import PrintedText
from pretraining.recipe import CELL, CELL_GRID, PATCH, PATCH_GRID, TILE
from pretraining.tokens import WordTokens

SLOT_COLUMNS, SLOT_ROWS = 4, 2
PATCH_SLOTS = SLOT_COLUMNS * SLOT_ROWS
CELL_SLOTS = 10
# Of the font's size: from the baseline up to the middle of a small letter, and from there to the
# top of a capital letter or the bottom of a `p`.
_MIDDLE, _REACH = 0.22, 0.4
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Placed:
    """Things with a middle on a page: what they are, and where, in pixels."""

    what: np.ndarray
    x: np.ndarray
    y: np.ndarray

    def inside(self, tile: "Place") -> "Placed":
        """Those within a tile, in the tile's own pixels."""
        x, y = tile.to_tile(self.x, self.y)
        is_in = (x >= 0) & (x < TILE) & (y >= 0) & (y < TILE)
        return Placed(self.what[is_in], x[is_in], y[is_in])


@dataclass(frozen=True)
class Place:
    """Where a tile is cut: the corner in scaled pixels, and how much the page is scaled."""

    left: float
    top: float
    x_scale: float
    y_scale: float

    def to_tile(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From the page's pixels to the tile's."""
        return x * self.x_scale - self.left, y * self.y_scale - self.top

    @property
    def box(self) -> tuple[float, float, float, float]:
        """In the page's pixels: left, top, right, bottom."""
        return (
            self.left / self.x_scale,
            self.top / self.y_scale,
            (self.left + TILE) / self.x_scale,
            (self.top + TILE) / self.y_scale,
        )


class PageLabels:
    """The characters, tokens and words of a page.

    Args:
        printed: what stands on it.
        tokens_of: the tokens of a word.
    """

    def __init__(self, printed: PrintedText, tokens_of: WordTokens) -> None:
        self._text = printed.text
        self._left, self._right, baseline, size = printed.places.T
        self._y, self._reach = baseline - _MIDDLE * size, _REACH * size
        self._tokens_of = tokens_of

    @cached_property
    def characters(self) -> Placed:
        """Codes of the characters that are read."""
        codes = np.array([CODES.get(c.lower(), NOTHING) for c in self._text], np.uint8)
        is_read = codes != NOTHING
        middle = (self._left + self._right) / 2
        return Placed(codes[is_read], middle[is_read], self._y[is_read])

    @cached_property
    def tokens(self) -> Placed:
        """Ids of the tokens, each in the middle of its characters."""
        ids, xs, ys = [], [], []
        for match in _WORD.finditer(self._text):
            start, end = match.span()
            for token, position in self._tokens_of(match.group().lower()):
                whole = min(int(position), end - start - 1)
                part, at = position - whole, start + whole
                ids.append(token)
                xs.append(self._left[at] * (1 - part) + self._right[at] * part)
                ys.append(self._y[at])
        return Placed(np.array(ids, np.int16), np.array(xs), np.array(ys))

    @cached_property
    def words(self) -> tuple[str, ...]:
        """In the order in which they were printed."""
        return tuple(match.group() for match in _WORD.finditer(self._text))

    @cached_property
    def _word_edges(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Left, right, top and bottom of each word."""
        spans = [match.span() for match in _WORD.finditer(self._text)]
        first = np.array([start for start, _ in spans], int)
        last = np.array([end - 1 for _, end in spans], int)
        y, reach = self._y[first], self._reach[first]
        return self._left[first], self._right[last], y - reach, y + reach

    def words_in(self, place: Place) -> tuple[str, ...]:
        """The words that stand wholly in a tile."""
        left, right, top, bottom = self._word_edges
        (x0, y0), (x1, y1) = place.to_tile(left, top), place.to_tile(right, bottom)
        is_in = (np.minimum(x0, y0) >= -1) & (np.maximum(x1, y1) <= TILE + 1)
        return tuple(self.words[number] for number in np.nonzero(is_in)[0])

    def slots_in(self, place: Place) -> np.ndarray:
        """The character slots of a tile, [G, S] uint8: each patch has fixed places in it."""
        found = self.characters.inside(place)
        patch = _square(found, PATCH, PATCH_GRID)
        row = (found.y % PATCH // (PATCH / SLOT_ROWS)).astype(int)
        column = (found.x % PATCH // (PATCH / SLOT_COLUMNS)).astype(int)
        slots = np.full((PATCH_GRID**2, PATCH_SLOTS), NOTHING, np.uint8)
        slots[patch, row * SLOT_COLUMNS + column] = found.what
        return slots

    def cells_in(self, place: Place) -> np.ndarray:
        """The tokens of a tile's cells, [C, K] int16, then `NO_TOKEN`; what is beyond K is lost."""
        found = self.tokens.inside(place)
        cells = np.full((CELL_GRID**2, CELL_SLOTS), NO_TOKEN, np.int16)
        filled = np.zeros(CELL_GRID**2, int)
        for cell, token in zip(_square(found, CELL, CELL_GRID), found.what, strict=True):
            if filled[cell] < CELL_SLOTS:
                cells[cell, filled[cell]] = token
                filled[cell] += 1
        return cells


def _square(found: Placed, side: int, grid: int) -> np.ndarray:
    """The number of the square that each thing is in, row by row."""
    return (found.y // side).astype(int) * grid + (found.x // side).astype(int)
