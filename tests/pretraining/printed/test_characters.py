"""Labels from PDFium: the right character, at the right place."""

import numpy as np
import pytest

from pretraining.printed import characters
from pretraining.printed.characters import (
    _NOWHERE,
    _is_apart,
    is_english,
    is_readable,
    printed_text,
)
from tests.pretraining.printed.helpers import LINES, opened, typed_pdf


def test_characters_stand_where_they_are_drawn(tmp_path):
    """Boxes that are mirrored, shifted, or in points instead of pixels."""
    page = opened(typed_pdf(tmp_path / "a.pdf", ("kettle",)))
    printed = printed_text(page, 1_200, 1_400)
    assert printed.text.strip() == "kettle"
    left, right, baseline, size = printed.places[:6].T
    assert baseline == pytest.approx([2 * (700 - 640)] * 6, abs=1)
    assert size == pytest.approx([2 * 12 * 1.156] * 6, rel=0.15)  # Helvetica's ascent and descent
    assert left[0] == pytest.approx(80, abs=3)
    assert all(np.diff(left) > 0)
    picture = np.asarray(page.render(scale=2, grayscale=True).to_pil())
    for start, end in zip(left, right, strict=True):
        ink = picture[100:120, round(start) : max(round(end), round(start) + 1)]
        assert ink.min() < 100  # something is drawn in every box
    assert picture[100:120, round(right[-1]) + 2 :].min() == 255  # and nothing behind the last


@pytest.mark.parametrize(
    ("left", "baseline", "is_apart"),
    [
        (105, 50, False),  # the next letter
        (103, 50, False),  # one that leans over
        (115, 50, True),  # another column: PDFium makes no space where the text jumps
        (105, 56, True),  # the next line
        (105, 52, False),  # an exponent
        (60, 50, True),  # back at the left, in a line that is printed later
    ],
)
def test_words_end_at_gaps_and_at_lines(left, baseline, is_apart):
    """Two columns, or the end of a line and the next, read as one word."""
    before = (95.0, 104.0, 50.0, 20.0)
    assert _is_apart(["a"], [before], (left, left + 9.0, baseline, 20.0)) == is_apart
    assert not _is_apart(["a", " "], [before, _NOWHERE], (left, left + 9.0, baseline, 20.0))


def test_words_of_lines_are_apart(tmp_path):
    """Spaces that nobody has typed, or two for one."""
    path = typed_pdf(tmp_path / "a.pdf", ("one two", "three"))
    assert printed_text(opened(path), 600, 700).text.strip() == "one two three"


def test_what_is_turned_is_no_text(tmp_path):
    """A stamp along the margin, whose letters no reader of rows can name."""
    path = typed_pdf(tmp_path / "a.pdf", ("upright",))
    turned = path.read_bytes().replace(b"40 640 Td", b"0 1 -1 0 40 640 Tm")
    path.write_bytes(turned)
    assert printed_text(opened(path), 600, 700).text.split() == []


def test_what_is_not_drawn_is_no_text(tmp_path):
    """What a program for OCR has laid under a scan, where it thinks that the letters are."""
    path = typed_pdf(tmp_path / "a.pdf", ("hidden",))
    path.write_bytes(path.read_bytes().replace(b"Td (hidden)", b"Td 3 Tr (hidden)"))
    assert printed_text(opened(path), 600, 700).text.split() == []


def test_a_page_of_too_many_characters_has_no_text(tmp_path, monkeypatch):
    """Letters without a label, which would count as empty paper."""
    path = typed_pdf(tmp_path / "a.pdf", ("kettle",))
    monkeypatch.setattr(characters, "_MAX_CHARACTERS", 5)
    assert printed_text(opened(path), 600, 700).text == ""


def test_pages_with_meaningless_codes_are_left_out():
    """A font whose letters are others than those that are seen."""
    text = " ".join(LINES)
    assert is_readable(text)
    assert not is_readable(text.translate({ord(vowel): "x" for vowel in "aeiouy"}))
    assert not is_readable("too short to learn from")


def test_only_english_is_taken():
    """A model that spends its small size on other languages."""
    assert is_english(list(LINES))
    assert not is_english(["der kessel des müllers ist im tal und nicht auf dem hügel"])
