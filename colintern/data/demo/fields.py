"""The values that tell look-alike pages apart; train, dev and test share none of them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from colintern.data.demo.values import CITIES, FIRST_NAMES, ITEMS, LAST_NAMES

T = TypeVar("T")

_MONTHS = """January February March April May June July August September October November
December""".split()
# Where each split's part of a pool begins and ends.
_SHARES = {"train": (0.0, 0.55), "dev": (0.55, 0.7), "test": (0.7, 1.0)}
_RESIDUES = {"train": (0, 1, 2, 3, 4), "dev": (5, 6), "test": (7, 8, 9)}


@dataclass(frozen=True)
class Fields:
    """One page's values, as they are printed."""

    name: str
    city: str
    date: str
    number: str
    item: str

    def value(self, field: str) -> str:
        """A value by its field's name."""
        return getattr(self, field)


FIELD_NAMES = ("name", "city", "date", "number", "item")


def family_fields(split: str, size: int, draw: random.Random) -> list[Fields]:
    """The values of a family's pages: few of each kind, so that one field seldom tells all.

    No two pages have the same combination.
    """
    names = [_person(split, draw) for _ in range(size // 2)]
    cities = draw.sample(_pool(CITIES, split), 3)
    items = draw.sample(_pool(ITEMS, split), 3)
    dates = [_date(split, draw) for _ in range(size // 2)]
    found: dict[Fields, None] = {}
    while len(found) < size:
        fields = Fields(
            draw.choice(names),
            draw.choice(cities),
            draw.choice(dates),
            _number(split, draw),
            draw.choice(items),
        )
        found[fields] = None
    return list(found)


def _person(split: str, draw: random.Random) -> str:
    return f"{draw.choice(_pool(FIRST_NAMES, split))} {draw.choice(_pool(LAST_NAMES, split))}"


def _date(split: str, draw: random.Random) -> str:
    """Every split has all days, months and years, but other dates than the others."""
    month, year = draw.randrange(12), draw.randint(1950, 2029)
    days = sorted(range(1, 29), key=lambda day: (day + month + year) % 28)
    return f"{draw.choice(_pool(days, split))} {_MONTHS[month]} {year}"


def _number(split: str, draw: random.Random) -> str:
    """Four digits whose last one belongs to the split."""
    return f"{draw.randint(100, 999)}{draw.choice(_RESIDUES[split])}"


def _pool(values: Sequence[T], split: str) -> Sequence[T]:
    start, end = _SHARES[split]
    return values[int(start * len(values)) : int(end * len(values))]
