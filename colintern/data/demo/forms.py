"""What pages look like: memo, letter, invoice, report, and the reference page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from colintern.data.demo.fields import Fields
from colintern.data.demo.prose import Passage
from colintern.data.demo.render import MARGIN, Line, num_rows, text_width, wrap

_RULE = Line(rule=True)
_BLANK = Line()


@dataclass(frozen=True)
class DemoPage:
    """A page before it is drawn.

    Attributes:
        page_id: unique in its split.
        family: pages of one family share their body; reference pages stand alone.
        kind: the word that the page bears as its heading; empty for reference pages.
        fields: the values printed on it; None for reference pages.
        body: the prose printed on it.
    """

    page_id: str
    family: str
    kind: str
    fields: Fields | None
    body: str
    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        """What can be read on the page, row by row."""
        return "\n".join(f"{line.left} {line.right}".strip() for line in self.lines).strip()


def form_page(
    page_id: str, family: str, kind: str, fields: Fields, passage: Passage, side: int
) -> DemoPage:
    """A single-spaced page of one of the `FORMS`, its body cut to what fits."""
    head, foot = FORMS[kind](fields)
    head, foot = [*head, _BLANK], [_BLANK, *foot]
    body, lines = _typeset(head, passage.text, foot, side, is_double_spaced=False)
    return DemoPage(page_id, family, kind, fields, body, lines)


def reference_page(page_id: str, passages: Sequence[Passage], side: int) -> DemoPage:
    """A double-spaced page of documentation: what is documented, a rule, prose."""
    subject = passages[0].subject.split("#")[0].rsplit(".", 1)[-1]
    room = side - text_width("reference") - 4 * MARGIN
    head = (Line(_shortened(subject, room), "reference"), _RULE)
    text = " ".join(passage.text for passage in passages)
    body, lines = _typeset(head, text, (), side, is_double_spaced=True)
    return DemoPage(page_id, page_id, "", None, body, lines)


def _memo(fields: Fields) -> tuple[Sequence[Line], Sequence[Line]]:
    head = [Line("MEMO", fields.date), _RULE, Line(f"To: {fields.name}")]
    return head, [Line(f"Room {fields.number}", fields.city)]


def _letter(fields: Fields) -> tuple[Sequence[Line], Sequence[Line]]:
    head = [Line("LETTER", fields.city), Line("Dear reader,", fields.date)]
    return head, [Line("Yours,"), Line(fields.name, f"Ref. {fields.number}")]


def _invoice(fields: Fields) -> tuple[Sequence[Line], Sequence[Line]]:
    head = [
        Line("INVOICE", fields.number),
        Line(fields.name, fields.city),
        _RULE,
        Line(f"1 {fields.item}", f"{int(fields.number) % 97 + 3}.00"),
        _RULE,
        Line("Due", fields.date),
    ]
    return head, []


def _report(fields: Fields) -> tuple[Sequence[Line], Sequence[Line]]:
    head = [Line("REPORT", f"no. {fields.number}"), Line(f"Tested: {fields.item}"), _RULE]
    return head, [Line(fields.name, fields.city), Line("", fields.date)]


FORMS: dict[str, Callable[[Fields], tuple[Sequence[Line], Sequence[Line]]]] = {
    "memo": _memo,
    "letter": _letter,
    "invoice": _invoice,
    "report": _report,
}
PRINTED_FIELDS = {
    "memo": ("name", "city", "date", "number"),
    "letter": ("name", "city", "date", "number"),
    "invoice": ("name", "city", "date", "number", "item"),
    "report": ("name", "city", "date", "number", "item"),
}


def _shortened(text: str, room: float) -> str:
    while text_width(text) > room:
        text = text[:-1]
    return text


def _typeset(
    head: Sequence[Line], text: str, foot: Sequence[Line], side: int, *, is_double_spaced: bool
) -> tuple[str, tuple[Line, ...]]:
    """A page with its text between head and foot.

    Returns:
        As much of the text as fits, and the rows of the whole page. On a double-spaced page a blank
        row is under every line, and a rule stands in such a row.
    """
    rows_per_line = 2 if is_double_spaced else 1
    taken = sum(not (is_double_spaced and line.rule) for line in (*head, *foot))
    body = wrap(text, side)[: num_rows(side) // rows_per_line - taken]
    rows: list[Line] = []
    for line in (*head, *map(Line, body), *foot):
        if not is_double_spaced:
            rows.append(line)
        elif line.rule:
            rows[-1] = line
        else:
            rows += [line, _BLANK]
    return " ".join(body), tuple(rows)
