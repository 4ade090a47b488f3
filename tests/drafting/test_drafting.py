"""Questions about pages: each about few pages, each once, the same at every time."""

import re
from pathlib import Path

import pytest

from colintern.data.canonical import CanonicalDataset
from colintern.data.entities import Page
from colintern.data.writing import write_dataset
from colintern.drafting import drafting
from colintern.drafting.drafting import draft
from colintern.drafting.word_index import WordIndex
from tests.helpers import png

THINGS = {  # and what each is cleaned with
    "kettle": "vinegar",
    "toaster": "brushes",
    "freezer": "lemons",
    "dishwasher": "salt",
    "microwave": "soap",
    "radiator": "towels",
}


def _text(thing: str, number: int) -> str:
    """A page with a running head, a heading, a caption, and a half common sentence."""
    return (
        f"Guide to Appliances\nCleaning Your {thing.title()}\n"
        f"before first use, rinse the {thing} with water and {THINGS[thing]} twice, because dust\n"
        f"collects in every new appliance ({thing}) of this kind before it is sold.\n"
        f"Figure {number}: Parts of the {thing} seen from below\nPage {number}"
    )


def _dataset(folder: Path, texts: list[str | None], document: str = "a.pdf") -> CanonicalDataset:
    pages = [
        Page(f"{document}#{number:04d}", png(number), document, text, number)
        for number, text in enumerate(texts, 1)
    ]
    write_dataset(str(folder), pages, [], [])
    return CanonicalDataset(str(folder))


@pytest.fixture
def appliances(tmp_path) -> CanonicalDataset:
    texts = [_text(thing, number) for number, thing in enumerate(THINGS, 1)]
    return _dataset(tmp_path / "set", [*texts, None])


def test_each_page_is_asked_for_what_it_alone_says(appliances):
    """A running head, or a sentence that is on every page, as a question about one of them."""
    found = draft(appliances, per_page=9, seed=0)
    for number, thing in enumerate(THINGS, 1):
        own = {one.kind: one.query for one in found.drafts if one.page_id.endswith(f"{number:04d}")}
        assert own == {
            "heading": f"Cleaning Your {thing.title()}",
            "caption": f"Parts of the {thing} seen from below",
            "sentence": f"rinse the {thing} with water and {THINGS[thing]} twice",
        }
    assert found.told() == (
        "18 questions about 6 of 7 pages (6 headings, 6 captions, 6 sentences); no text layer in "
        "1 of 7 pages"
    )


def test_the_words_of_a_question_stand_together_on_few_pages(appliances):
    """A question that a dozen pages answer, of which training calls eleven wrong."""
    texts = {page.page_id: page.text for page in drafting._pages(appliances.corpus_files)}
    for query in draft(appliances, 9, 0).drafts:
        words = {word for word in re.findall(r"\w+", query.query.casefold()) if len(word) > 2}
        holding = [
            page
            for page, text in texts.items()
            if words <= set(re.findall(r"\w+", (text or "").casefold()))
        ]
        assert query.page_id in holding
        assert len(holding) <= 2


def test_the_index_counts_pages_with_all_words():
    """Words in another order or case; short ones; one word alone, which is no question."""
    index = WordIndex(["Red kettle, of tin", None, "a KETTLE that is red", "red tea"])
    assert index.num_pages("kettle red") == 2
    assert index.num_pages("red of kettle") == 2  # `of` is too short
    assert index.num_pages("kettle red tin") == 1
    assert index.num_pages("kettle tea") == 0
    assert index.num_pages("kettle never") == 0
    assert index.num_pages("kettle KETTLE of") == 0


def test_half_sentences_have_rare_words(tmp_path):
    """`if this happens again then try it`, which stands on one page only, and is about nothing."""
    common = "people often start every morning with bread"
    texts: list[str | None] = [f"one {word}." for word in common.split() for _ in range(3)]
    rare = "zebras often graze every morning with gnus"
    found = draft(_dataset(tmp_path / "set", [*texts, f"{common}; {rare}."]), 9, 0)
    assert [one.query for one in found.drafts] == [rare]
    index = WordIndex([*texts, common])
    assert index.num_pages(common) == 1
    assert index.num_rare(common) == 0


def test_no_two_pages_share_a_question_and_none_is_asked_twice(tmp_path):
    """One question with two pages, each of which is a wrong answer to the other's."""
    text = _text("kettle", 1)
    drafts = draft(_dataset(tmp_path / "set", [text, "something else", text]), 9, 0).drafts
    assert len(drafts) == len({one.query for one in drafts}) >= 3
    assert {one.page_id for one in drafts} == {"a.pdf#0001"}
    dataset = _dataset(tmp_path / "other", [text])
    asked = [" PARTS of the kettle seen from below"]
    assert {one.kind for one in draft(dataset, 9, 0, asked).drafts} == {"heading", "sentence"}


def test_a_page_has_so_many_at_most_of_each_kind_in_turn(appliances):
    """Two half sentences about a page that has a heading."""
    found = draft(appliances, per_page=2, seed=0).drafts
    assert [one.kind for one in found] == ["heading", "caption"] * len(THINGS)


def test_the_same_seed_gives_the_same_questions(tmp_path):
    """A file that is another one each time; a seed without effect."""
    clauses = (f"each {a} of the {b} needs very careful handling" for a in THINGS for b in THINGS)
    dataset = _dataset(tmp_path / "set", [f"{';'.join(clauses)}."])
    first, again, other = (draft(dataset, 2, seed) for seed in (1, 1, 2))
    assert first == again
    assert first.drafts != other.drafts


def test_a_large_document_is_read_in_parts(appliances, monkeypatch):
    """A document of a million pages in memory at once."""
    monkeypatch.setattr(drafting, "_CHARACTERS_AT_ONCE", 1_000)
    pages = list(drafting._pages(appliances.corpus_files))
    parts = list(drafting._documents(iter(pages)))
    assert [page for part in parts for page in part] == pages
    assert 1 < len(parts) < len(pages)


def test_other_languages_break_nothing(tmp_path):
    """A traceback over Japanese, Arabic or Hindi; German questions, which are as good."""
    texts: list[str | None] = [
        "口座の残高を表示します。\n図 3: 窓",
        "هذا هو النص العربي.",
        "हिन्दी में लिखा.",
        "Der Wasserkocher wird mit klarem Essig entkalkt, sobald\nsich Kalk zeigt.",
        "\U0001f642 \u0301 \u200b\ufeff",
    ]
    found = draft(_dataset(tmp_path / "set", texts), 2, 0)
    wanted = "Der Wasserkocher wird mit klarem Essig entkalkt"
    assert wanted in {one.query for one in found.drafts}
