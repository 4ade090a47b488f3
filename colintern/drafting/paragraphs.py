"""The paragraphs of a page's text layer, which has lines only; without running heads and footers.

Where a paragraph ends is guessed from the lengths of lines and from how they begin: a text layer
says nothing of fonts, sizes and places.
"""

import re
from collections import Counter
from collections.abc import Sequence

from colintern.data.text import normalised

Paragraph = list[str]  # its lines

_MANY_PAGES = 3
_COLUMN_GAP = re.compile(r"\t+| {3,}")  # between cells of a table, or columns
_DIGITS = re.compile(r"\d+")
_FULL = (
    0.75  # of a full line: a shorter one ends its paragraph, as fonts have letters of all widths
)
_FULL_QUANTILE = 0.8
_PAGE_NUMBER = re.compile(r"\.{3,}|(?:\. ){3,}|[\s,]\d{1,4}$|[\s.,][ivxlc]{1,6}$")
_SENTENCE_END = re.compile(r"[.!?:][\"'\u201d\u2019)]*$")
# What begins a paragraph of its own: a bullet, a number with a word behind it, a caption.
_BEGINNING = re.compile(
    r"[\u2022\u2023\u25aa\u25cf\u25e6\u25a0\u2013\u2014*o-]\s"
    r"|\(?(?:\d{1,3}(?:\.\d{1,3})*|[A-Za-z])[.)]\s+\S"
    r"|\d{1,3}(?:\.\d{1,3})+\s+[^\W\d_]"
)
LABEL = re.compile(  # of a caption
    r"(?:Figure|Fig\.?|Table|Example|Listing|Exhibit|Chart|Plate|Abbildung|Abb\.|Tabelle|Tableau|Figura"
    r"|Tabla|Tabela)\s+(?:\d+|[A-Z])(?:[.\u2013-]\d+)*[a-z]?\s?[.:]\s+(?=\S)"
)


def repeated_lines(pages: Sequence[str]) -> set[str]:
    """The lines, as `line_key` has them, that stand on many pages of a document.

    Those are three pages at least, or both of two.

    Args:
        pages: the texts of its pages.
    """
    counts = Counter(key for text in pages for key in set(map(line_key, text.split("\n"))))
    del counts[""]
    many = min(_MANY_PAGES, max(2, len(pages)))
    return {key for key, count in counts.items() if count >= many}


def line_key(line: str) -> str:
    """A line as it is compared with others: page numbers in it do not count, nor does its space."""
    return _DIGITS.sub("#", " ".join(normalised(line).split()))


def paragraphs(text: str, repeated: set[str]) -> list[Paragraph]:
    """The paragraphs of a page; none of a table of contents, or of an index.

    Args:
        text: of the page.
        repeated: lines that belong to none, as `line_key` has them.
    """
    lines = [line for line in text.split("\n") if line.strip() and line_key(line) not in repeated]
    lengths = sorted(map(len, lines))
    full = lengths[int(_FULL_QUANTILE * (len(lengths) - 1))] if lengths else 0
    if 2 * sum(map(leads_elsewhere, lines)) > len(lines):
        return []
    found: list[Paragraph] = []
    is_row = True  # of a table: no line goes on from its cells, nor into them
    for line in lines:
        cells = [" ".join(cell.split()) for cell in _COLUMN_GAP.split(line.strip())]
        if not is_row and len(cells) == 1 and _goes_on(found[-1][-1], cells[0], full):
            found[-1].append(cells[0])
        else:
            found += [[cell] for cell in cells]
        is_row = len(cells) > 1
    return found


def leads_elsewhere(line: str) -> bool:
    """Whether a line is one of a table of contents, or of an index: it ends in a page number."""
    return bool(_PAGE_NUMBER.search(line))


def ends_sentence(text: str) -> bool:
    """Whether a text ends as a sentence does."""
    return bool(_SENTENCE_END.search(text))


def _goes_on(line: str, following: str, full: int) -> bool:
    """Whether the line after `line` belongs to the same paragraph."""
    if len(line) < _FULL * full or _BEGINNING.match(following) or LABEL.match(following):
        return False
    # The last line of a paragraph may be a full one by chance: a short line after it is a heading.
    is_heading = len(following) < _FULL * full and following[:1].isupper()
    return not (ends_sentence(line) and is_heading and not ends_sentence(following))
