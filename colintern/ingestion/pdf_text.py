"""Letters of a PDF page's text that its picture does not show, as when their font is missing."""

import ctypes
import math
from collections.abc import Callable
from dataclasses import dataclass

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
from PIL import Image

from colintern.ingestion.drawn import is_even

_NUM_LOOKED_AT = 24  # of a page, spread over its text
_HIDDEN_MODES = (
    pdfium_c.FPDF_TEXTRENDERMODE_INVISIBLE,  # what was read on a scan
    pdfium_c.FPDF_TEXTRENDERMODE_CLIP,
)
_FINER, _FAR = 256, 256  # PDFium gives whole pixels: of a larger picture, far from each other
ToPixels = Callable[[float, float], tuple[float, float]]
_MIN_CONTRAST = 32  # of 255, in a colour, between a letter and what is behind it


@dataclass(frozen=True)
class Letters:
    """A sample of a page's letters that are meant to be seen.

    Attributes:
        num_seen: letters that were looked for; a hidden one counts only where there is ink.
        num_not_drawn: those where the picture shows nothing.
    """

    num_seen: int
    num_not_drawn: int

    @property
    def share_not_drawn(self) -> float:
        """From 0 to 1."""
        return self.num_not_drawn / max(1, self.num_seen)

    def reason(self) -> str:
        """In a few words."""
        share = "none" if self.num_not_drawn == self.num_seen else f"{1 - self.share_not_drawn:.0%}"
        return (
            f"{share} of its letters are drawn: a font is neither in the file nor on this machine"
        )


def look_for_letters(page: pdfium.PdfPage, picture: Image.Image) -> Letters:
    """Look for letters of the page's text in its picture.

    Raises:
        PdfiumError: the page's text cannot be read.
    """
    text = page.get_textpage()
    to_pixels = _to_pixels(page, picture.size)
    count = text.count_chars()
    num_seen = num_not_drawn = 0
    for index in range(0, count, max(1, count // _NUM_LOOKED_AT)):
        if not chr(pdfium_c.FPDFText_GetUnicode(text, index)).isalnum():
            continue
        box = _box(text, index, to_pixels)
        if min(box) < 0 or box[2] > picture.width or box[3] > picture.height:
            continue
        behind = picture.crop(box)
        is_missing = is_even(behind)
        if is_missing and not _should_be_seen(text, index, behind):
            continue
        num_seen += 1
        num_not_drawn += is_missing
    text.close()
    return Letters(num_seen, num_not_drawn)


def _should_be_seen(text: pdfium.PdfTextPage, index: int, behind: Image.Image) -> bool:
    """Whether a letter is painted, and in another colour than the even picture behind it."""
    part = pdfium_c.FPDFText_GetTextObject(text, index)
    if part and pdfium_c.FPDFTextObj_GetTextRenderMode(part) in _HIDDEN_MODES:
        return False
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    if not pdfium_c.FPDFText_GetFillColor(text, index, red, green, blue, alpha):
        return True
    shown = behind.convert("RGB").getpixel((0, 0))
    assert isinstance(shown, tuple)
    differences = [abs(a - b.value) for a, b in zip(shown, (red, green, blue), strict=True)]
    return alpha.value > 0 and max(differences) >= _MIN_CONTRAST


def _box(text: pdfium.PdfTextPage, index: int, to_pixels: ToPixels) -> tuple[int, int, int, int]:
    """Where a letter stands in the picture, with a pixel around it: left, upper, right, lower."""
    left, bottom, right, top = text.get_charbox(index)
    if left == right or bottom == top:  # a letter that is not there has no extent of its own
        left, bottom, right, top = text.get_charbox(index, loose=True)
    columns, rows = zip(to_pixels(left, bottom), to_pixels(right, top), strict=True)
    return (
        math.floor(min(columns)) - 1,
        math.floor(min(rows)) - 1,
        math.ceil(max(columns)) + 1,
        math.ceil(max(rows)) + 1,
    )


def _to_pixels(page: pdfium.PdfPage, size: tuple[int, int]) -> ToPixels:
    """From points of the page, which may be turned and cropped, to pixels of its picture."""

    def exactly(x: int, y: int) -> tuple[float, float]:
        column, row = ctypes.c_int(), ctypes.c_int()
        larger = (side * _FINER for side in size)
        pdfium_c.FPDF_PageToDevice(page, 0, 0, *larger, 0, x, y, column, row)
        return column.value / _FINER, row.value / _FINER

    column, row = exactly(0, 0)
    right, upper = exactly(_FAR, 0), exactly(0, _FAR)
    per_x = (right[0] - column) / _FAR, (right[1] - row) / _FAR
    per_y = (upper[0] - column) / _FAR, (upper[1] - row) / _FAR
    return lambda x, y: (
        column + x * per_x[0] + y * per_y[0],
        row + x * per_x[1] + y * per_y[1],
    )
