"""The values that tell look-alike pages apart; train, dev and test share none of them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

_FIRST_NAMES = """Alice Bruno Clara Dmitri Elena Felix Greta Hassan Irene Jonas Keiko Lorenzo
Marta Nadia Oscar Paula Quentin Rosa Stefan Tamara Ulrich Vera Walter Ximena Yusuf Zoe
Arthur Bianca Cedric Diana Edgar Fatima Gustav Helga Ivan Jasmin Klaus Leila Magnus Nora
Otto Priya Ramon Sofia Tobias Ursula Viktor Wanda Xaver Yvonne Zdenek Agnes Boris Carmen
Daniel Esther Franco Gloria Hector Ingrid Jakob Karla Ludwig Miriam Nikolai Olga Pedro Ruth
Samuel Teresa""".split()
_LAST_NAMES = """Abbott Becker Castillo Dupont Eriksen Fischer Garcia Hoffman Ibrahim Jansen
Kowalski Larsen Moreau Nakamura Olsen Petrov Quinn Rossi Schmidt Tanaka Ulmer Vasquez Weber
Xavier Yamada Zimmer Aldridge Baptiste Carver Delgado Engel Fontaine Gruber Haas Iversen
Jimenez Kessler Lindgren Marchetti Novak Ortega Pereira Quist Rasmus Silva Thorne Underhill
Vogel Winkler Yilmaz Zanetti Archer Bauer Corrigan Dvorak Ebert Falk Galloway Hartley Ingram
Joyce Kramer Lombard Mercer Nolan Osborne Pryce Rinaldi Stein Tully""".split()
_CITIES = """Lisbon Hamburg Krakow Seville Bergen Toulouse Verona Dresden Malmo Porto Genoa
Leipzig Ghent Tampere Zagreb Valencia Bristol Antwerp Bologna Cordoba Dublin Essen Florence
Granada Helsinki Innsbruck Jena Kiel Ljubljana Madrid Naples Oslo Prague Rotterdam Salzburg
Turin Utrecht Vienna Warsaw York Zurich Aarhus Bilbao Cologne Debrecen Exeter Freiburg
Geneva Heidelberg Izmir Kaunas Lyon Munich Nantes Odense Palermo Riga Split Trieste Uppsala
Vilnius Wroclaw Basel Cardiff Delft Graz""".split()
_ITEMS = """lantern kettle ladder carpet mirror bicycle hammer cushion teapot drawer basket
blanket candle compass curtain desk easel faucet gloves hinge inkwell jacket keyboard lamp
mattress napkin oven pillow quilt rake saddle toaster umbrella vase wallet axe bench chisel
dresser engine flute goblet hose iron jug kayak lock mallet nozzle oar pulley radiator
scissors tripod urn valve wagon anvil barrel crate dynamo funnel gasket helmet joystick
knapsack loom magnet""".split()
_MONTHS = """January February March April May June July August September October November
December""".split()

# Where each split's part of a pool begins and ends.
_SHARES = {"train": (0.0, 0.55), "dev": (0.55, 0.7), "test": (0.7, 1.0)}
_YEARS = {"train": (1950, 1989), "dev": (1990, 1999), "test": (2000, 2029)}
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
    cities = draw.sample(_pool(_CITIES, split), 3)
    items = draw.sample(_pool(_ITEMS, split), 3)
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
    return f"{draw.choice(_pool(_FIRST_NAMES, split))} {draw.choice(_pool(_LAST_NAMES, split))}"


def _date(split: str, draw: random.Random) -> str:
    return f"{draw.randint(1, 28)} {draw.choice(_MONTHS)} {draw.randint(*_YEARS[split])}"


def _number(split: str, draw: random.Random) -> str:
    """Four digits whose last one belongs to the split."""
    return f"{draw.randint(100, 999)}{draw.choice(_RESIDUES[split])}"


def _pool(values: Sequence[str], split: str) -> Sequence[str]:
    start, end = _SHARES[split]
    return values[int(start * len(values)) : int(end * len(values))]
