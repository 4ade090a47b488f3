"""Queries that name what distinguishes a page, and which pages answer them.

A query asks for phrases: a heading, field values, words of the prose. Every page of the split that
bears all of them, as whole words, is relevant, whichever page the query was written for.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from colintern.data.demo.forms import PRINTED_FIELDS, DemoPage

_STOP_WORDS = frozenset(
    """a about above after all also an and any are as at be because been before being both but
    by can cannot could do does each either else for from further had has have if in into is
    it its just like made make may more most must no not of on once one only or other over
    should so some such than that the their them then there these they this those through
    thus to under until up use used uses using very was were what when where whether which
    while will with would you your""".split()
)
_WORD = re.compile(r"[a-z0-9]+")
_FIELD_PHRASES = {
    "name": ("for {}", "signed {}", "with the name {}"),
    "city": ("from {}", "in {}", "in the city of {}"),
    "date": ("of {}", "dated {}", "on {}"),
    "number": ("number {}", "with number {}", "no {}"),
    "item": ("about the {}", "with item {}", "mentioning {}"),
}
_OPENINGS = ("the {} {}", "find the {} {}", "which {} is {}", "{} {}", "i need the {} {}")
_PROSE_FRAMES = (
    "where does it say something about {}, {} and {}",
    "explain {} with {} and {}",
    "page on {} {} {}",
    "what is said on {} when {} {}",
)
# How many fields queries name, with weights: single fields are the hard, ambiguous ones.
_NUM_FIELDS = ((1, 9), (2, 3), (3, 1))
# Which fields they name: a number tells a page from all others at once, so it is seldom named.
_FIELD_WEIGHTS = {"name": 4, "date": 4, "city": 3, "item": 3, "number": 1}
_PARTIAL = 0.3  # of the names and dates
_KINDS = {1: "one-field", 2: "two-fields", 3: "three-fields"}


@dataclass(frozen=True)
class DemoQuery:
    """A query, the phrases it asks for, and of which kind it is."""

    text: str
    asked: tuple[str, ...]
    kind: str


class PageIndex:
    """Which pages of a split bear a phrase."""

    def __init__(self, pages: Sequence[DemoPage]) -> None:
        self._tokens = {page.page_id: f" {' '.join(words(page.text))} " for page in pages}
        self._pages_with: dict[str, set[str]] = {}
        for page_id, text in self._tokens.items():
            for word in text.split():
                self._pages_with.setdefault(word, set()).add(page_id)

    def bearing(self, phrases: Sequence[str]) -> list[str]:
        """The ids of the pages that bear every phrase, sorted."""
        split = [words(phrase) for phrase in phrases]
        candidates = set.intersection(
            *(self._pages_with.get(word, set()) for phrase in split for word in phrase)
        )
        wanted = [f" {' '.join(phrase)} " for phrase in split]
        return sorted(
            page_id
            for page_id in candidates
            if all(phrase in self._tokens[page_id] for phrase in wanted)
        )


def write_queries(
    pages: Sequence[DemoPage], index: PageIndex, number: int, draw: random.Random
) -> Iterator[DemoQuery]:
    """`number` queries with texts of their own, spread evenly over the pages.

    Queries that more than a tenth of a hundred pages answer are not asked: nobody would.
    """
    seen: set[str] = set()
    while len(seen) < number:
        for page in draw.sample(pages, len(pages)):
            query = _field_query(page, draw) if page.fields else _prose_query(page, draw)
            if len(seen) == number:
                return
            if query and query.text not in seen and len(index.bearing(query.asked)) <= 10:
                seen.add(query.text)
                yield query


def words(text: str) -> list[str]:
    """The words of a text, lower case, without punctuation."""
    return _WORD.findall(text.lower())


def _field_query(page: DemoPage, draw: random.Random) -> DemoQuery:
    assert page.fields is not None
    counts, weights = zip(*_NUM_FIELDS, strict=True)
    count = draw.choices(counts, weights)[0]
    named = _chosen_fields(PRINTED_FIELDS[page.kind], count, draw)
    values = [_remembered(field, page.fields.value(field), draw) for field in named]
    phrases = [
        draw.choice(_FIELD_PHRASES[field]).format(value)
        for field, value in zip(named, values, strict=True)
    ]
    asked = [page.kind, *values]
    text = draw.choice(_OPENINGS).format(page.kind, " ".join(phrases))
    if draw.random() < 0.25 and (topic := _content_words(page)):
        word = draw.choice(topic)
        return DemoQuery(f"{text}, something on {word}", (*asked, word), "field-and-prose")
    return DemoQuery(text, tuple(asked), _KINDS[count])


def _remembered(field: str, value: str, draw: random.Random) -> str:
    """A value, or the part of it that one remembers: the family name, month and year."""
    if field in ("name", "date") and draw.random() < _PARTIAL:
        return value.split(maxsplit=1)[1]
    return value


def _chosen_fields(fields: Sequence[str], count: int, draw: random.Random) -> list[str]:
    """`count` different fields, by their weights."""
    left = list(fields)
    named = []
    for _ in range(count):
        named.append(draw.choices(left, [_FIELD_WEIGHTS[field] for field in left])[0])
        left.remove(named[-1])
    return named


def _prose_query(page: DemoPage, draw: random.Random) -> DemoQuery | None:
    """A query with three words of the page's prose, not far from each other."""
    content = _content_words(page)
    if len(content) < 6:
        return None
    start = draw.randrange(len(content) - 5)
    chosen = draw.sample(content[start : start + 6], 3)
    return DemoQuery(draw.choice(_PROSE_FRAMES).format(*chosen), tuple(chosen), "prose")


def _content_words(page: DemoPage) -> list[str]:
    found = (word for word in words(page.body) if len(word) > 3 and word not in _STOP_WORDS)
    return list(dict.fromkeys(found))
