"""Lines of a text layer become paragraphs, without what stands on every page."""

import pytest

from colintern.drafting.paragraphs import line_key, paragraphs, repeated_lines

PROSE = "The register shows every transaction of one account,\nand its balance after each."


def _paragraphs(text: str, *others: str) -> list[str]:
    return ["|".join(lines) for lines in paragraphs(text, repeated_lines([text, *others]))]


def test_running_heads_and_footers_belong_to_no_paragraph():
    """A running head in the middle of a sentence; a page number that makes each footer another."""
    pages = [f"Guide to Kettles\n{n}\nText of {word}\nPage {n}" for n, word in enumerate("abc", 8)]
    assert repeated_lines(pages) == {"guide to kettles", "#", "page #"}
    assert _paragraphs(*pages) == ["Text of a"]
    assert repeated_lines(pages[:2]) == {"guide to kettles", "#", "page #"}
    assert repeated_lines(pages[:1]) == set()
    assert repeated_lines([*pages[:2], "else", "and else"]) == set()  # two of four are not many
    assert line_key("PAGE 17 of 210") == line_key("Page 3 of 9")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"Using Registers\n{PROSE}", ["Using Registers", PROSE.replace("\n", "|")]),
        (f"{PROSE}\nUsing Registers", [PROSE.replace("\n", "|"), "Using Registers"]),
        (  # the last line of the paragraph is a full one
            f"{PROSE.replace('each.', 'each of the many entries.')}\nUsing Registers\nOther",
            [
                PROSE.replace("\n", "|").replace("each.", "each of the many entries."),
                "Using Registers",
                "Other",
            ],
        ),
        (  # two columns, one after the other
            "left column begins\nand it goes on to\nits end.\nright column has\nmore to say now.",
            [
                "left column begins|and it goes on to|its end.",
                "right column has|more to say now.",
            ],
        ),
        ("Cash\t12.00\nRent   1,300.00", ["Cash", "12.00", "Rent", "1,300.00"]),
        (
            "first item of the list\n\u2022 second item of it\n(3) third item of it",
            ["first item of the list", "\u2022 second item of it", "(3) third item of it"],
        ),
        ("Accounts, 12, 17\nBanks . . . . . ix\nReconciling\nRegister 4", []),  # an index
        ("", []),
        (" \n\t\n", []),
    ],
)
def test_paragraphs_end_where_their_lines_say_so(text, wanted):
    """A heading in the first sentence below it; a column that goes on in the other; a row cut."""
    assert _paragraphs(text) == wanted
