"""Drawing a page: lines of 13-pixel text whose baselines stand on a grid of 14 pixels."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

TEXT_PIXELS = 13
GRID = 14  # the patch size of the backbones that read these pages
MARGIN = 6
BASELINE = 11  # inside a grid row: room for descenders below


@dataclass(frozen=True)
class Line:
    """One grid row: text at the left edge, text at the right edge, a rule through the row."""

    left: str = ""
    right: str = ""
    rule: bool = False


def render(lines: Sequence[Line], side: int) -> bytes:
    """A square page of `side` pixels as PNG, grey on white."""
    image = Image.new("L", (side, side), 255)
    canvas = ImageDraw.Draw(image)
    for row, line in enumerate(lines):
        top = row * GRID
        if line.rule:
            canvas.line((MARGIN, top + GRID // 2, side - MARGIN, top + GRID // 2), fill=110)
        at = top + BASELINE
        canvas.text((MARGIN, at), line.left, font=page_font(), fill=0, anchor="ls")
        canvas.text((side - MARGIN, at), line.right, font=page_font(), fill=0, anchor="rs")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def wrap(text: str, side: int) -> list[str]:
    """Break a text into lines that fit between the margins."""
    lines: list[str] = []
    room = 0.0
    for word in text.split():
        width = text_width(word)
        if lines and width + text_width(" ") <= room:
            lines[-1] += f" {word}"
            room -= width + text_width(" ")
        else:
            lines.append(word)
            room = side - 2 * MARGIN - width
    return lines


def num_rows(side: int) -> int:
    """Grid rows of a page."""
    return side // GRID


@lru_cache(maxsize=100_000)
def text_width(text: str) -> float:
    """Pixels; remembered, because measuring is slower than drawing."""
    return page_font().getlength(text)


@lru_cache(maxsize=1)
def page_font() -> ImageFont.FreeTypeFont:
    """Pillow's own scalable font: the same on every machine."""
    font = ImageFont.load_default(size=TEXT_PIXELS)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow without FreeType"
    return font
