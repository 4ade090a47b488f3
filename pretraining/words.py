"""Words, names, numbers, amounts and dates."""

import random

MONTHS = """January February March April May June July August September October November
December""".split()
_SYLLABLES = """ba ber bor can cor dan del den dor el fan fer gal gar hal han il in jan ka kel kor
la len lin lor ma mar mel min mon na nel nor o par per pol qua ra ren ri ro sal san sel sin sol ta
ter tin tor u val van ver vin wal wen win xan ya yor za zel zor sch str th wh ck ing tion""".split()


def number(draw: random.Random) -> str:
    """A number as tables have it: plain, with a point, with thousands, a percentage."""
    kind = draw.randrange(4)
    if kind == 0:
        return str(draw.randrange(10 ** draw.randint(1, 6)))
    if kind == 1:
        return (
            f"{draw.randrange(10 ** draw.randint(1, 3))}.{draw.randrange(10 ** draw.randint(1, 3))}"
        )
    if kind == 2:
        return f"{draw.randrange(10 ** draw.randint(3, 7)):,}"
    return f"{draw.choice(('', '-', '+'))}{draw.randrange(1_000) / 10}%"


def amount(draw: random.Random) -> str:
    """An amount of money."""
    value = draw.randrange(10 ** draw.randint(2, 6)) / 100
    return f"{draw.choice(('', '$', 'EUR ', 'USD '))}{value:,.2f}"


def date(draw: random.Random) -> str:
    """A date in one of the usual forms."""
    day, month, year = draw.randint(1, 28), draw.randint(1, 12), draw.randint(1950, 2040)
    name = MONTHS[month - 1]
    return draw.choice(
        (
            f"{day} {name} {year}",
            f"{name} {day}, {year}",
            f"{month}/{day}/{year}",
            f"{year}-{month:02d}-{day:02d}",
            f"{day}.{month}.{year}",
            f"{name[:3]} {year}",
        )
    )


def made_up_name(draw: random.Random) -> str:
    """A word of two or three syllables that no dictionary has."""
    return "".join(draw.choices(_SYLLABLES, k=draw.randint(2, 3))).capitalize()
