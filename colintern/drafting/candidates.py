"""What of a page's text may be asked: headings, captions, and half sentences as they stand.

Made for English. Other languages give fewer candidates, and those without spaces or capital letters
hardly any.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile, zip_longest
from random import Random

from colintern.drafting.paragraphs import LABEL, Paragraph, ends_sentence, leads_elsewhere

HEADING, CAPTION, SENTENCE = KINDS = ("heading", "caption", "sentence")

_HEADING_WORDS = range(2, 13)
_CAPTION_WORDS = range(3, 17)
_SENTENCE_WORDS = range(5, 10)
_MAX_HEADINGS = 8  # a page with more is a table of contents, or a list
_MIN_LETTERS = 0.85  # of all characters: the rest are digits and signs
_NAMED_NUMBER = re.compile(
    r"(?:Chapter|Appendix|Section|Part|Kapitel|Anhang|Chapitre|Capítulo|Capitolo)\s+"
    r"(?:\d{1,3}|[A-Z]|[IVX]+)(?:\.\d{1,3})*[.:]?\s+(?=\S)"
)
_SECTION_NUMBER = re.compile(r"(?:\d{1,3}|[A-Z])(?:\.\d{1,3})+\.?\s+(?=\S)")  # 2.3, B.1
_NUMBER = re.compile(r"\d{1,3}\.?\s+(?=\S)")
_FIRST_SENTENCE = re.compile(r".+?(?=(?<!e\.g)(?<!i\.e)(?<!vs)[.!?](?:\s|$)|[,;:]?$)")
_OPENING = "([{<\"'\u201c\u201e\u2018\u00ab\u2013\u2014\u2022"
_CLOSING = ".,;:!?)]}>\"'\u201c\u201d\u2019\u00bb\u2013\u2014\u2026"
# In code, in names of columns, and in capital letters of licences.
_SIGN = re.compile(r"[_#=<>{}|\\~^*@$\[\]]|\w:\w|\w{4,}\.\s")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019/-][^\W\d_]+)*")
# Words that nobody begins or ends a question with. As a question, a text without them at its edges
# reads like one; inside it they stay.
_LOOSE = frozenset(
    "a about after all also although am an and another any are as at be because been before being "
    "both but by can could did do does during each either else every example few finally first "
    "for from get gets had has have he her here his how however i if in instance instead into is "
    "it its itself just let may me might more most must my neither no nor not note now of on once "
    "one only onto or other our out over own per please rather same see shall she should "
    "similarly since so some such than that the their them then there these they this those "
    "though through thus to too two under unless until upon us very was we were what when where "
    "whether which while who whom whose why will with within without would yet you your".split()
)


def headings(page: Sequence[Paragraph]) -> list[str]:
    """Headings, without their numbers: short lines of their own in title case, or numbered.

    None of a page that has many: it lists those of other pages. Above digits stands no heading, but
    the first row of a table.
    """
    found = [
        name
        for lines, following in zip_longest(page, page[1:], fillvalue=[""])
        if len(lines) == 1 and not _is_of_digits(following[0]) and (name := _heading(lines[0]))
    ]
    return found if len(found) <= _MAX_HEADINGS and 2 * len(found) <= len(page) + 1 else []


def captions(page: Sequence[Paragraph]) -> list[str]:
    """What stands behind `Figure 3:` or `Table 2.`, as far as its first sentence.

    A line that begins with a capital letter may be the next caption, or the text below the figure.
    """
    found = []
    for lines in page:
        if not (label := LABEL.match(lines[0])) or leads_elsewhere(lines[-1]):
            continue
        more = takewhile(lambda line: not line[0].isupper(), lines[1:])
        first = _FIRST_SENTENCE.match(" ".join([lines[0], *more]), label.end())
        if first and _is_asked(first[0].strip(), _CAPTION_WORDS):
            found.append(first[0].strip())
    return found


def half_sentences(page: Sequence[Paragraph], draw: Random) -> list[str]:
    """Five to nine words that stand together between two punctuation marks, in any order.

    Args:
        page: its paragraphs.
        draw: chooses the words of a longer part of a sentence, and the order; those that nobody
            has to choose, as they are a whole part, come first.
    """
    whole, cut = [], []
    for clause in _clauses(page):
        is_whole = len(words := _without_loose_ends(clause)) in _SENTENCE_WORDS
        if len(words) > _SENTENCE_WORDS[-1]:
            first = draw.randrange(len(words) - _SENTENCE_WORDS[0])
            last = first + draw.choice(_SENTENCE_WORDS)
            words = _without_loose_ends(words[first:last])
        if _is_asked(text := " ".join(words), _SENTENCE_WORDS) and not _is_of_names(words):
            (whole if is_whole else cut).append(text)
    draw.shuffle(whole)
    draw.shuffle(cut)
    return [*whole, *cut]


def _heading(line: str) -> str | None:
    if leads_elsewhere(line) or LABEL.match(line):
        return None
    named = _NAMED_NUMBER.match(line) or _SECTION_NUMBER.match(line)
    number = named or _NUMBER.match(line)
    name = line[number.end() if number else 0 :].strip()
    if name.count("(") != name.count(")") or name[-1:] in ",;":
        return None
    if not name[:1].isupper() or (ends_sentence(name) and name[-1] != "?"):
        return None
    is_one = named or name.endswith("?") or _is_title(name)
    return name if is_one and _is_asked(name, _HEADING_WORDS) and not _SIGN.search(name) else None


def _is_of_digits(line: str) -> bool:
    return 3 * sum(sign.isdecimal() for sign in line) > len(line)


def _is_title(text: str) -> bool:
    """Whether every word has a capital letter, but for short ones and loose ones."""
    words = _WORD.findall(text)
    return bool(words) and all(
        word[0].isupper() or len(word) < 4 or word in _LOOSE for word in words
    )


def _clauses(page: Sequence[Paragraph]) -> Iterator[list[str]]:
    """The words between two punctuation marks, of paragraphs that are sentences."""
    for lines in page:
        if (len(lines) > 1 or ends_sentence(lines[0])) and not LABEL.match(lines[0]):
            yield from _clauses_of(lines)


def _clauses_of(lines: Sequence[str]) -> Iterator[list[str]]:
    words: list[str] = []
    is_cut = False  # a word with a hyphen at the end of a line: nobody knows whether it is one word
    for line in lines:
        tokens = line.split()
        if is_cut:
            yield words
            words, tokens = [], tokens[1:]
        is_cut = len(line) > 1 and line[-1] in "-\u2010\u2011" and line[-2].isalpha()
        for token in tokens[:-1] if is_cut else tokens:
            if token[0] in _OPENING:
                yield words
                words = []
            if word := token.lstrip(_OPENING).rstrip(_CLOSING):
                words.append(word)
            if token[-1] in _CLOSING:
                yield words
                words = []
    yield words


def _without_loose_ends(words: Sequence[str]) -> Sequence[str]:
    first, last = 0, len(words)
    while first < last and words[first].casefold() in _LOOSE:
        first += 1
    while first < last and words[last - 1].casefold() in _LOOSE:
        last -= 1
    return words[first:last]


def _is_of_names(words: Sequence[str]) -> bool:
    """Whether most words have a capital letter: cells, menus and lists, not a sentence."""
    return 2 * sum(word[0].isupper() for word in words) > len(words) + 1


def _is_asked(text: str, num_words: range) -> bool:
    """Whether a text has the length of a question, and is of letters."""
    words = text.split()
    num_letters = sum(sign.isalpha() or sign.isspace() or sign in "'\u2019-" for sign in text)
    is_of_words = sum(bool(_WORD.fullmatch(word.strip(_OPENING + _CLOSING))) for word in words)
    return (
        len(words) in num_words
        and num_letters >= _MIN_LETTERS * len(text)
        and is_of_words >= len(words) - 1
    )
