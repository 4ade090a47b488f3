"""Forms, invoices, slides, tables, letters and reports as HTML: what offices print.

What is written means nothing; how it stands on the page is what counts. Rare words, names and
numbers are more frequent than in prose, so letters must be read and cannot be guessed.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape

from pretraining.words import amount, date, made_up_name, number

_Layout = Callable[["Writer"], str]


@dataclass(frozen=True)
class Document:
    """An HTML text, and the paper that it is for; None for any."""

    html: str
    paper: str | None


class Writer:
    """Writes what stands in a document.

    Args:
        words: to choose from.
        texts: prose to choose from.
        draw: chooses.
    """

    def __init__(self, words: tuple[str, ...], texts: tuple[str, ...], draw: random.Random) -> None:
        self._words, self._texts, self.draw = words, texts, draw

    def some(self, least: int, most: int) -> range:
        """As many as chance wants."""
        return range(self.draw.randint(least, most))

    def word(self) -> str:
        """A word in small letters."""
        return self.draw.choice(self._words)

    def title(self, least: int = 1, most: int = 5) -> str:
        """A heading."""
        said = " ".join(self.word() for _ in self.some(least, most))
        return self.draw.choice((str.title, str.capitalize, str.upper, str.capitalize))(said)

    def name(self) -> str:
        """Made-up names of a person."""
        return " ".join(made_up_name(self.draw) for _ in self.some(2, 3))

    def prose(self, least: int, most: int) -> str:
        """Sentences, or words at random."""
        wanted = self.draw.randint(least, most)
        if self.draw.random() < 0.3:
            return escape(" ".join(self.word() for _ in range(wanted)).capitalize() + ".")
        words: list[str] = []
        while len(words) < wanted:
            words += self.draw.choice(self._texts).split()
        return escape(" ".join(words[:wanted]))

    def value(self) -> str:
        """What fills a cell of a table or a field of a form."""
        made = self.draw.choice(
            (number, amount, date, lambda _: self.word(), lambda _: self.name())
        )
        return escape(made(self.draw))

    def address(self) -> str:
        """Three lines."""
        return "<br>".join(
            escape(line)
            for line in (
                self.name(),
                f"{self.draw.randint(1, 999)} {self.title(1, 2)} {self.draw.choice(_STREETS)}",
                f"{made_up_name(self.draw)}, {self.draw.randint(10_000, 99_999)}",
            )
        )

    def paragraphs(self, least: int, most: int) -> str:
        """Paragraphs of prose."""
        return "".join(f"<p>{self.prose(30, 120)}</p>" for _ in self.some(least, most))

    def items(self, least: int, most: int, words: tuple[int, int] = (2, 12)) -> str:
        """A list, numbered or not."""
        kind = self.draw.choice(("ul", "ol"))
        said = "".join(f"<li>{self.prose(*words)}</li>" for _ in self.some(least, most))
        return f"<{kind}>{said}</{kind}>"

    def table(self, rows: tuple[int, int], columns: tuple[int, int]) -> str:
        """A table; each column has entries of one kind."""
        kinds = [
            self.draw.choice((number, amount, date, self._word_of, self._name_of, self._phrase_of))
            for _ in self.some(*columns)
        ]
        head = "".join(f"<th>{escape(self.title(1, 2))}</th>" for _ in kinds)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(kind(self.draw))}</td>" for kind in kinds) + "</tr>"
            for _ in self.some(*rows)
        )
        width = self.draw.choice(("", "", ' style="width:100%"'))
        return f"<table{width}><tr>{head}</tr>{body}</table>"

    def _word_of(self, _: random.Random) -> str:
        return self.word()

    def _name_of(self, _: random.Random) -> str:
        return self.name()

    def _phrase_of(self, _: random.Random) -> str:
        return self.title(2, 4)


_STREETS = ("Street", "Road", "Avenue", "Lane", "Square", "Drive")
_BREAK = '<div style="break-after: page"></div>'


def _invoice(write: Writer) -> str:
    draw = write.draw
    word = draw.choice(("Invoice", "Receipt", "Purchase Order", "Quotation", "Statement"))
    lines = "".join(
        f"<tr><td>{n}</td><td>{write.prose(1, 5)}</td><td>{draw.randint(1, 40)}</td>"
        f"<td>{amount(draw)}</td><td>{amount(draw)}</td></tr>"
        for n in range(1, draw.randint(4, 22))
    )
    return (
        f"<h1>{word} {number(draw)}</h1><div style='columns:2'><p><b>From</b><br>{write.address()}"
        f"</p><p><b>To</b><br>{write.address()}</p></div><p>Date: {date(draw)} &emsp; Due: "
        f"{date(draw)}</p><table style='width:100%'><tr><th>No.</th><th>Description</th>"
        f"<th>Quantity</th><th>Price</th><th>Total</th></tr>{lines}</table>"
        f"<p style='text-align:right'><b>Total {amount(draw)}</b></p><p>{write.prose(10, 50)}</p>"
    )


def _form(write: Writer) -> str:
    fields = "".join(
        f"<td style='border:1px solid #555;vertical-align:top'><small>{number}. "
        f"{escape(write.title(1, 4))}</small><br>{write.value()}</td>"
        + ("</tr><tr>" if number % 2 == 0 else "")
        for number in range(1, write.draw.randint(10, 36))
    )
    boxes = "".join(
        f"<p>{write.draw.choice(('[ ]', '[x]', '( )'))} {write.prose(2, 10)}</p>"
        for _ in write.some(2, 8)
    )
    return (
        f"<h2>{escape(write.title(2, 6))}</h2><p>{write.prose(15, 60)}</p>"
        f"<table style='width:100%'><tr>{fields}</tr></table>{boxes}"
        f"<p>Signature ____________________ Date {date(write.draw)}</p>"
    )


def _letter(write: Writer) -> str:
    return (
        f"<p style='text-align:right'>{write.address()}</p><p>{write.address()}</p>"
        f"<p>{date(write.draw)}</p><p><b>{escape(write.title(2, 7))}</b></p>"
        f"<p>Dear {escape(write.name())},</p>{write.paragraphs(2, 6)}"
        f"<p>{write.draw.choice(('Yours sincerely', 'Kind regards', 'Best wishes'))},</p>"
        f"<p>{escape(write.name())}<br>{escape(write.title(1, 3))}</p>"
    )


def _slides(write: Writer) -> str:
    def slide() -> str:
        kind = write.draw.choice(("items", "items", "table", "words"))
        body = {
            "items": lambda: write.items(3, 7, (2, 10)),
            "table": lambda: write.table((3, 7), (2, 5)),
            "words": lambda: write.paragraphs(1, 2),
        }[kind]()
        return (
            f"<h1>{escape(write.title(1, 6))}</h1>{body}<p><small>{write.prose(3, 8)}</small></p>"
        )

    points = write.draw.randint(14, 24)
    style = f"<style>body, p, li, td, th {{ font-size: {points}pt !important }}</style>"
    return style + _BREAK.join(slide() for _ in write.some(3, 5))


def _report(write: Writer) -> str:
    def section(number: int) -> str:
        extra = write.draw.choice(
            (
                lambda: write.items(3, 9),
                lambda: (
                    f"<p><b>Table {number}:</b> {write.prose(4, 12)}</p>"
                    + write.table((3, 12), (2, 5))
                ),
                lambda: f"<blockquote>{write.prose(20, 50)}</blockquote>",
                lambda: "",
            )
        )()
        return f"<h2>{number}. {escape(write.title(1, 6))}</h2>{write.paragraphs(1, 3)}{extra}"

    sections = "".join(section(number) for number in range(1, write.draw.randint(3, 8)))
    return (
        f"<h1>{escape(write.title(2, 7))}</h1><p><i>{escape(write.name())}, {date(write.draw)}</i>"
        f"</p>{sections}"
    )


def _sheet(write: Writer) -> str:
    parts = "".join(
        f"<h3>{escape(write.title(1, 4))}</h3>{write.table((4, 16), (3, 7))}"
        for _ in write.some(1, 4)
    )
    return f"<h1>{escape(write.title(1, 5))}</h1><p>{write.prose(8, 40)}</p>{parts}"


def _brochure(write: Writer) -> str:
    boxes = "".join(
        f"<div style='border:1px solid #999;background:{write.draw.choice(_TINTS)};padding:2mm;"
        f"margin:2mm;break-inside:avoid'><h3>{escape(write.title(1, 4))}</h3>"
        f"<p>{write.prose(10, 60)}</p></div>"
        for _ in write.some(4, 12)
    )
    return f"<h1>{escape(write.title(1, 5))}</h1><div style='columns:2'>{boxes}</div>"


def _index(write: Writer) -> str:
    lines = "".join(
        f"<div>{escape(write.title(1, 4))} {'.' * write.draw.randint(3, 40)} "
        f"{write.draw.randint(1, 400)}</div>"
        for _ in write.some(30, 80)
    )
    return f"<h1>{write.draw.choice(('Contents', 'Index', 'Glossary', 'Directory'))}</h1>{lines}"


_TINTS = ("#fff", "#f4f4f4", "#eef3fa", "#fbf3e4", "#e2e2e2")
_LAYOUTS: dict[str, _Layout] = {
    "invoice": _invoice,
    "form": _form,
    "letter": _letter,
    "slides": _slides,
    "report": _report,
    "sheet": _sheet,
    "brochure": _brochure,
    "index": _index,
}
_IN_COLUMNS = ("report", "index")  # the others have tables, which would stand on each other
_ONE_COLUMN = "<style>body { columns: auto !important }</style>"
_SCREENS = ("Slide", "Wide")


def documents(
    words: tuple[str, ...], texts: tuple[str, ...], seed: str, count: int
) -> Iterator[tuple[str, Document]]:
    """Made-up documents, each with its name; the kinds take turns.

    Args:
        words: to choose from.
        texts: prose to choose from.
        seed: of chance.
        count: of the documents.
    """
    kinds = list(_LAYOUTS)
    for index in range(count):
        kind = kinds[index % len(kinds)]
        draw = random.Random(f"{seed} {kind} {index}")
        head = "" if kind in _IN_COLUMNS else _ONE_COLUMN
        body = head + _LAYOUTS[kind](Writer(words, texts, draw))
        paper = draw.choice(_SCREENS) if kind == "slides" else None
        yield f"{kind}-{index:05d}", Document(f"<html><body>{body}</body></html>", paper)
