"""What measures reading has not been trained on."""

import pytest

from pretraining.printed import corpus
from pretraining.printed.corpus import Corpus
from pretraining.printed.pages import Document, write_pages
from tests.pretraining.printed.helpers import LINES, typed_pdf

OTHER = tuple(" ".join(reversed(line.split())) for line in LINES)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """From `kind/name` and lines to a corpus; documents whose names end in 0 are held out."""
    monkeypatch.setattr(corpus, "is_held", lambda document: document.endswith("0"))
    (tmp_path / "pages").mkdir()

    def make(**documents: dict[str, tuple[str, ...]]) -> Corpus:
        for kind, texts in documents.items():
            found = [
                Document(typed_pdf(tmp_path / f"{kind}{n}.pdf", lines), name, kind)
                for n, (name, lines) in enumerate(texts.items())
            ]
            write_pages(found, tmp_path / "pages" / f"{kind}-typed.arrow")
        return Corpus(tmp_path, ())

    return make


def _documents(pages) -> list[str]:
    return [pages[number].document for number in range(len(pages))]


def test_a_page_whose_text_is_trained_on_elsewhere_does_not_measure(made):
    """A manual in two packages, or as HTML and as PDF; prose that office documents quote."""
    quoting = (*OTHER[:1], *LINES)
    there = made(
        tex={"a1": LINES, "b0": LINES, "c0": OTHER[1:]}, web={"d1": quoting, "e0": OTHER[:1] * 6}
    )
    held = there.held_out()
    assert {kind: _documents(pages) for kind, pages in held.items()} == {"tex": ["c0"]}
    assert _documents(there.trained("tex")) == ["a1"]


def test_forms_and_slides_are_told_apart(made):
    """Four kinds of layouts in one figure."""
    names = ("office/form-10", "office/invoice-20", "office/slides-30", "office/letter-40")
    there = made(office=dict.fromkeys(names, LINES))
    held = {kind: _documents(pages) for kind, pages in there.held_out().items()}
    assert held == {"office": list(names), "forms": list(names[:2]), "slides": [names[2]]}
