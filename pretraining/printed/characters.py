"""The characters that PDFium finds on a page, with their places: labels that nobody has to draw."""

import ctypes
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as raw

from pretraining.classes import CHARACTERS

_MAX_CHARACTERS = 12_000  # of a page; more are a data sheet
_MAX_ANGLE = 0.02  # radians: text that is turned is not read
_PARTS = 64  # of a pixel, in which PDFium is asked for the corners
_FOLDED = str.maketrans(
    {
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u2010": "-",
        "\u2013": "-",
        "\u2014": "-",
        "\u2212": "-",
        "\u00ad": "-",
        "\ufffe": "-",
        "\x02": "-",
        "\ufb00": "ff",
        "\ufb01": "fi",
        "\ufb02": "fl",
        "\ufb03": "ffi",
        "\ufb04": "ffl",
    }
)
# A new word begins where these are passed, in shares of the font's size.
_NEW_LINE, _GAP, _BACK = 0.25, 0.35, 0.3
_Place = tuple[float, float, float, float]
_NOWHERE: _Place = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class PrintedText:
    """What stands on a page, in the order in which it was printed.

    Attributes:
        text: words with one space between them; one character a glyph's part.
        places: [characters, 4] float32 in pixels: left, right, baseline, and the font's size; 0
            for a space.
    """

    text: str
    places: np.ndarray

    @property
    def size(self) -> float:
        """The median of the font's size over the characters, in pixels."""
        return float(np.median(self.places[self.places[:, 3] > 0, 3]))


def printed_text(page: pdfium.PdfPage, width: int, height: int) -> PrintedText:
    """Find the characters of a page that is drawn `width` x `height` pixels large.

    Raises:
        pdfium.PdfiumError: the page has no readable text.
    """
    letters: list[str] = []
    places: list[_Place] = []
    for character, place in _characters(page, width, height):
        starts_word = character == " " or _is_apart(letters, places, place)
        if starts_word and letters and letters[-1] != " ":
            letters.append(" ")
            places.append(_NOWHERE)
        if character != " ":
            letters.append(character)
            places.append(place)
    return PrintedText("".join(letters), np.array(places, np.float32).reshape(-1, 4))


def _is_apart(letters: list[str], places: list[_Place], place: _Place) -> bool:
    """Whether a character is too far from the one before it to be of its word."""
    if not letters or letters[-1] == " ":
        return False
    (left, _, baseline, size), (_, last_right, last_baseline, _) = place, places[-1]
    return (
        abs(baseline - last_baseline) > _NEW_LINE * size
        or left - last_right > _GAP * size
        or left < places[-1][0] - _BACK * size
    )


def _characters(page: pdfium.PdfPage, width: int, height: int) -> Iterator[tuple[str, _Place]]:
    """Every character that is drawn upright, or a space in place of what is not."""
    for letters, (left, right, baseline, size) in _glyphs(page, width, height):
        step = (right - left) / len(letters)
        for number, letter in enumerate(letters):
            yield letter, (left + number * step, left + (number + 1) * step, baseline, size)


def _glyphs(page: pdfium.PdfPage, width: int, height: int) -> Iterator[tuple[str, _Place]]:
    """The letters of each glyph; a glyph of several letters has several boxes that are the same."""
    to_pixels = _ToPixels(page, width, height)
    text_page = page.get_textpage()
    count = text_page.count_chars()
    if count > _MAX_CHARACTERS:
        return  # what had no label would count as empty paper
    letters, place = "", _NOWHERE
    for index in range(count):
        letter = _drawn_letters(text_page, index)
        its_place = _NOWHERE if letter == " " else to_pixels.place(text_page, index)
        if letters and (letter == " " or its_place != place):
            yield letters, place
            letters = ""
        if letter == " ":
            yield " ", _NOWHERE
        elif 0.5 < its_place[3] < 200 and its_place[1] >= its_place[0]:
            letters, place = letters + letter, its_place
    if letters:
        yield letters, place


def _drawn_letters(text_page: pdfium.PdfTextPage, index: int) -> str:
    """What a character is printed as, or a space if it is not printed, or turned."""
    code = raw.FPDFText_GetUnicode(text_page, index)
    character = chr(code) if code and not 0xD800 <= code < 0xE000 else "\ufffd"
    part = raw.FPDFText_GetTextObject(text_page, index)
    if part and raw.FPDFTextObj_GetTextRenderMode(part) == raw.FPDF_TEXTRENDERMODE_INVISIBLE:
        return " "  # what a program for OCR has read
    # PDFium also makes up the spaces, and the hyphens at the ends of lines.
    is_made_up = raw.FPDFText_IsGenerated(text_page, index) == 1 or character.isspace()
    if is_made_up or abs(raw.FPDFText_GetCharAngle(text_page, index)) > _MAX_ANGLE:
        return " "
    return character.translate(_FOLDED)


class _ToPixels:
    """From the units of a page to pixels of its picture, which begins at the top left corner."""

    def __init__(self, page: pdfium.PdfPage, width: int, height: int) -> None:
        span = 1_000  # units
        x0, y0 = _device(page, width, height, 0)
        x1, y1 = _device(page, width, height, span)
        self._x0, self._y0 = x0, y0
        self._x_scale, self._y_scale = (x1 - x0) / span, (y0 - y1) / span

    def place(self, text_page: pdfium.PdfTextPage, index: int) -> _Place:
        """Left, right, baseline and the font's size of a character."""
        left, right, bottom, top, x, y = (ctypes.c_double() for _ in range(6))
        raw.FPDFText_GetCharBox(text_page, index, left, right, bottom, top)
        raw.FPDFText_GetCharOrigin(text_page, index, x, y)
        loose = raw.FS_RECTF()
        raw.FPDFText_GetLooseCharBox(text_page, index, loose)
        return (
            self._x0 + left.value * self._x_scale,
            self._x0 + right.value * self._x_scale,
            self._y0 - y.value * self._y_scale,
            (loose.top - loose.bottom) * self._y_scale,
        )


def _device(page: pdfium.PdfPage, width: int, height: int, units: int) -> tuple[float, float]:
    x, y = ctypes.c_int(), ctypes.c_int()
    raw.FPDF_PageToDevice(page, 0, 0, width * _PARTS, height * _PARTS, 0, units, units, x, y)
    return x.value / _PARTS, y.value / _PARTS


_WORD = re.compile(r"[a-z]{3,}")
_VOWEL = re.compile(r"[aeiouy]")
_ENGLISH = frozenset(
    "the of and to in is a for that this with be are on as by it an or from can not if you".split()
)


def is_readable(text: str) -> bool:
    """Whether a page's text is long enough, made of known characters, and of words.

    A font whose codes mean nothing gives labels that are wrong; a page of figures gives few.
    """
    solid = text.lower().replace(" ", "")
    words = _WORD.findall(text.lower())
    if len(solid) < 150 or len(words) < 20:
        return False
    num_known = sum(character in CHARACTERS for character in solid)
    num_letters = sum(character.isalpha() for character in solid)
    with_vowel = sum(bool(_VOWEL.search(word)) for word in words) / len(words)
    mean_length = sum(map(len, words)) / len(words)
    return (
        num_known > 0.88 * len(solid)
        and num_letters > 0.4 * len(solid)
        and with_vowel > 0.85
        and 3.5 < mean_length < 9.5
    )


def is_english(texts: list[str]) -> bool:
    """Whether small English words are as frequent in a document's pages as in English."""
    words = re.findall(r"[^\W\d_]+", " ".join(texts).lower())
    return sum(word in _ENGLISH for word in words) > 0.12 * len(words)
