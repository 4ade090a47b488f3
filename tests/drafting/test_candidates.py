"""Which parts of a text can be asked."""

from random import Random

import pytest

from colintern.drafting.candidates import captions, half_sentences, headings
from colintern.drafting.paragraphs import paragraphs

FULL = "The register window shows all of the transactions that were entered so far,\n"
PROSE = FULL + "and its balance."


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("Opening a New Account", "Opening a New Account"),
        ("2.3 Reconciling a statement", "Reconciling a statement"),
        ("B.1. Table of currencies", "Table of currencies"),
        ("Chapter 4. Bank Statements", "Bank Statements"),
        ("7 Bank Statements", "Bank Statements"),
        ("What is a split transaction?", "What is a split transaction?"),
        ("\u00dcbersicht \u00fcber alle Konten", None),  # a sentence may begin so
        ("1. Open the register window", None),  # a step
        ("Bank Statements 112", None),  # a line of a table of contents
        ("Bank Statements . . . . . xii", None),
        ("Bank Statements, 12, 17", None),  # of an index
        ("Press the button.", None),
        ("Statements", None),
        ("X-17 4 2000 B7", None),
        ("12.50 EUR", None),
        ("Balance of last (Year)", None),
        ("Year Balance) Total", None),
        ("Total_Of Every Account", None),
        ("A PARTICULAR PURPOSE. THE ENTIRE RISK", None),
        ("Figure 2: Bank Statements", None),
    ],
)
def test_headings_are_lines_of_their_own(line, wanted):
    """A step of a list, a line of an index or a sum, asked for as a heading."""
    page = paragraphs(f"{PROSE}\n{line}\n{PROSE}", set())
    assert headings(page) == ([wanted] if wanted else [])


def test_a_table_of_contents_has_no_headings():
    """Questions whose answer is the table of contents, and not the page that it names."""
    names = "\n".join(f"{number}.1 Kinds of {word}" for number, word in enumerate("abcdefghij"))
    assert headings(paragraphs(f"Contents\n{names}", set())) == []
    assert headings(paragraphs("1.1 Kinds of one\n1.2 Kinds of two\n1.3 Kinds of it", set())) == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Figure 3: The main window. It is shown at start.", "The main window"),
        ("Table 2.1. Keys of the window that\nfew know", "Keys of the window that few know"),
        ("Fig. 4: What version 2.6 shows.", "What version 2.6 shows"),
        ("Tabelle 5: Die Tasten des Fensters", "Die Tasten des Fensters"),
        ("Figure 3 shows the main window.", None),
        ("Figure 3: The main window 17", None),
        ("Table 4: 12 13 14 15", None),
        ("Table 5: Taxes of some countries (e.g. Chile)", "Taxes of some countries (e.g. Chile)"),
        ("Table 6: Taxes of countries\nCountry Rate", "Taxes of countries"),
    ],
)
def test_captions_are_without_their_labels(text, wanted):
    """A sentence about a figure, or a line of the list of figures, taken for its caption."""
    found = captions(paragraphs(f"{FULL[:40]}\n{text}", set()))
    assert found == ([wanted] if wanted else [])


def _asked(text: str, seed: int = 0) -> list[str]:
    return half_sentences(paragraphs(text, set()), Random(seed))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (  # without loose words at the edges, and no further than the comma
            "To do so, the double entry method needs two accounts, which is\nmore work.",
            ["double entry method needs two accounts"],
        ),
        (  # a hyphen at a line's end: `re` and `call`, or `recall`
            "so that old imported statements of a bank re-\ncall many lost entries of both years.",
            ["old imported statements of a bank", "many lost entries of both years"],
        ),
        (
            "Version 2.6 imports statements of banks automatically.",
            ["Version 2.6 imports statements of banks automatically"],
        ),
        ("12 14 17 accounts 13.50 12 totals 17 19.", []),
        ("Cash Rent Food Total Balance Account.", []),  # a row of a table
        ("one line without an end that may be a cell", []),
        ("It was so that they all had it then.", []),
        ("if (rate > 0) return rate * account_total(rate) - fee(rate);\nx = y[i++] + z.", []),
        ("\u53e3\u5ea7\u306e\u6b8b\u9ad8\u3092\u8868\u793a\u3057\u307e\u3059\u3002", []),
    ],
)
def test_half_sentences_are_whole_words_of_one_clause(text, wanted):
    """Half words, cells of a table, code, or `of the and it` as a question."""
    assert sorted(_asked(text)) == sorted(wanted)


def test_long_clauses_are_cut_by_the_seed():
    """Always the same half of a sentence; or more than nine words."""
    text = "Every bank statement of last year lists deposits withdrawals fees interest and balances"
    text += "\nbefore anything else happens."
    found = {query for seed in range(40) for query in _asked(text, seed)}
    assert len(found) > 5
    assert all(5 <= len(query.split()) <= 9 and query in text.replace("\n", " ") for query in found)
