"""People's judgements bring nothing of dev into training, and deal no other dev set."""

import random
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colintern.data.added_judgements import AddedJudgements
from colintern.data.canonical import CanonicalDataset
from colintern.data.columns import strings
from colintern.data.entities import Judgement, Query
from colintern.data.splits import UnseenPages, split_views
from colintern.data.text import normalised
from colintern.data.views import View
from colintern.data.writing import write_dataset
from colintern.errors import DatasetError
from tests.helpers import pairs_of

Said = Mapping[tuple[str, str], int]


class _Pages(UnseenPages):
    """Forty pages, two a document; some show the same."""

    def __init__(self, pictures: list[int]) -> None:
        super().__init__({f"p{n:02d}": f"d{n // 2}" for n in range(len(pictures))})
        self.pictures = strings(map(str, pictures)).dictionary_encode().indices.to_numpy()


def _dataset(folder: Path, texts: list[str], judged: list[tuple[int, int]]) -> Path:
    write_dataset(
        str(folder),
        [],
        [Query(f"q{number:02d}", text) for number, text in enumerate(texts)],
        [Judgement(f"q{query:02d}", f"p{page:02d}", 1) for query, page in judged],
    )
    return folder


def _views(folder: Path, pages: _Pages, said: Said | None) -> tuple[View, View]:
    added = AddedJudgements(said) if said else None
    return split_views("train", CanonicalDataset(str(folder), added=added), pages, 0.3, seed=0)


def _judged(view: View) -> set[tuple[str, str]]:
    return {(query, page) for query, own in view.judgements.items() for page in own}


def test_nothing_that_answers_dev_is_trained_on(tmp_path_factory):
    """A page that somebody found to answer a dev question, or a copy of it, that is learned too."""
    counts = {"split": 0, "held out": 0, "new": 0, "removed": 0}

    @settings(max_examples=60, deadline=None)
    @given(seed=st.integers(0, 2**32))
    def check(seed: int) -> None:
        draw = random.Random(seed)
        pages = _Pages([draw.randrange(60) for _ in range(40)])
        # Queries from 30 on are not judged by the dataset; some ask what others ask.
        texts = [draw.choice(("text {}", "Text  {}")).format(draw.randrange(60)) for _ in range(40)]
        judged = [(n, draw.randrange(42)) for n in range(30)]  # two pages have no features
        folder = _dataset(tmp_path_factory.mktemp("set"), texts, judged)
        said = {
            (f"q{draw.randrange(40):02d}", f"p{draw.randrange(42):02d}"): draw.choice((1, 1, 2, 0))
            for _ in range(12)
        }
        said |= {(f"q{q:02d}", f"p{p:02d}"): 0 for q, p in draw.sample(judged, 3)}
        try:
            before, after = _views(folder, pages, None), _views(folder, pages, said)
        except DatasetError:
            return  # everything hangs together, or nothing is left
        counts["split"] += 1
        counts["held out"] += len(before[0].pages) > len(after[0].pages)
        counts["new"] += any(pair[0] >= "q30" for view in after for pair in pairs_of(view))
        train, dev = after
        for pair, score in said.items():
            counts["removed"] += score == 0 and any(pair in _judged(view) for view in before)
            assert score or pair not in _judged(train) | _judged(dev)
        _check_apart(pages, train, dev)
        _check_sides(before, after)

    check()
    assert counts["split"] > 30
    assert all(count > 10 for count in counts.values()), counts


def _check_apart(pages: _Pages, train: View, dev: View) -> None:
    """No page, picture or question is on both sides."""
    shown = dict(zip(pages.ids.to_pylist(), pages.pictures.tolist(), strict=True))
    searched, answers = set(train.page_ids().to_pylist()), {page for _, page in pairs_of(dev)}
    assert dev.page_ids() == pages.ids
    assert not {shown[page] for page in searched} & {shown[page] for page in answers}
    assert {page for _, page in pairs_of(train)} <= searched
    assert {query for query, _ in pairs_of(train)} == set(train.query_ids.to_pylist())
    trained, asked = (set(map(normalised, view.texts.to_pylist())) for view in (train, dev))
    assert not trained & asked


def _check_sides(before: tuple[View, View], after: tuple[View, View]) -> None:
    """Queries that the dataset judges are on the side on which they were, if they are left."""
    for side, other in ((0, 1), (1, 0)):
        is_now = set(after[side].query_ids.to_pylist())
        assert not is_now & set(before[other].query_ids.to_pylist())


def test_a_page_that_answers_dev_now_costs_its_copies_and_not_its_document(tmp_path):
    """A training set without a manual of 400 pages, as one of them also answers a dev question."""
    pages = _Pages([*range(39), 20])  # p39 shows what p20 does
    texts = [f"text {n}" for n in range(39)]
    folder = _dataset(tmp_path, texts, [(n, n) for n in range(39)])
    train, dev = _views(folder, pages, None)
    asked, trained = dev.query_ids.to_pylist()[0], train.query_ids.to_pylist()
    assert {"q20", "q21", "q38"} <= set(trained)
    page = "p39"
    after, dev_after = _views(folder, pages, {(asked, page): 1})
    assert set(train.page_ids().to_pylist()) - set(after.page_ids().to_pylist()) == {"p20", "p39"}
    assert "p21" in after.page_ids().to_pylist()
    assert set(trained) - set(after.query_ids.to_pylist()) == {"q20"}
    assert page in dev_after.judgements[asked]
    assert dev_after.query_ids == dev.query_ids


def test_a_side_on_which_nothing_is_left_is_a_mistake(tmp_path):
    """A run without a dev set, whose rounds are judged by nothing."""
    folder = _dataset(tmp_path, [f"text {n}" for n in range(40)], [(n, n) for n in range(40)])
    views = _views(folder, _Pages(list(range(40))), None)
    for view, side in zip(views, ("training", "dev"), strict=True):
        said = dict.fromkeys(pairs_of(view), 0)
        with pytest.raises(DatasetError, match=rf"^data\.judgements: leaves no {side} queries of"):
            _views(folder, _Pages(list(range(40))), said)
