"""A dev set shares nothing with training: no page, no document, no image, no question."""

import random
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colintern.data.canonical import CanonicalDataset
from colintern.data.columns import strings
from colintern.data.entities import Judgement, Query
from colintern.data.splits import UnseenPages, split_views
from colintern.data.text import normalised
from colintern.data.views import View
from colintern.data.writing import write_dataset
from colintern.errors import DatasetError
from tests.helpers import pairs_of

DOCUMENTS = [f"document {number}" for number in range(30)]


@dataclass(frozen=True)
class PageKey:
    """What ties a page to others."""

    page_id: str
    picture: str
    doc_id: str | None


class _Tied(UnseenPages):
    """Pages with their pictures and documents."""

    def __init__(self, pages: list[PageKey]) -> None:
        super().__init__({page.page_id: page.doc_id for page in pages})
        pictures = strings([page.picture for page in pages]).dictionary_encode()
        self.pictures = pictures.indices.to_numpy()


def _told(views: tuple[View, View]) -> list:
    return [(v.page_ids().to_pylist(), v.query_ids.to_pylist(), dict(v.judgements)) for v in views]


def _dataset(folder: Path, judged: list[tuple[str, str]]) -> CanonicalDataset:
    """Query texts and the pages that answer them; the pages themselves are not needed."""
    write_dataset(
        str(folder),
        [],
        [Query(f"q{number}", text) for number, (text, _) in enumerate(judged)],
        [Judgement(f"q{number}", page, 1) for number, (_, page) in enumerate(judged)],
    )
    return CanonicalDataset(str(folder))


def test_nothing_straddles(tmp_path_factory):
    """Pages of one document, or one image under two ids, on both sides."""
    was_split = []

    @settings(max_examples=30, deadline=None)
    @given(seed=st.integers(0, 2**32))
    def check(seed: int) -> None:
        draw = random.Random(seed)
        pages = [
            PageKey(f"p{n:02d}", f"image {draw.randrange(90)}", draw.choice([*DOCUMENTS, None]))
            for n in range(40)
        ]
        judged = [
            (draw.choice(("text {}", "Text  {}")).format(draw.randrange(90)), f"p{page:02d}")
            for page in (draw.randrange(46) for _ in range(30))
        ]
        dataset = _dataset(tmp_path_factory.mktemp("set"), judged)
        try:
            train, dev = split_views("train", dataset, _Tied(pages), 0.3, seed=0)
        except DatasetError:
            was_split.append(False)  # everything hangs together: nothing can be dealt
            return
        was_split.append(True)
        _check_nothing_is_shared(pages, dataset, train, dev)

    check()
    assert sum(was_split) > len(was_split) / 2


def _check_nothing_is_shared(
    pages: list[PageKey], dataset: CanonicalDataset, train: View, dev: View
) -> None:
    keys = {page.page_id: page for page in pages}
    dev_pages = {page for _, page in pairs_of(dev)}  # some of the judged pages have no features
    assert dev_pages
    assert dev.page_ids().to_pylist() == sorted(keys)
    for tie in ("page_id", "picture", "doc_id"):
        in_training = {getattr(keys[page], tie) for page in train.page_ids().to_pylist()} - {None}
        assert not in_training & {getattr(keys[page], tie) for page in dev_pages}
    trained, asked = (set(map(normalised, view.texts.to_pylist())) for view in (train, dev))
    assert not trained & asked
    assert {page for _, page in pairs_of(train)} <= set(train.page_ids().to_pylist())
    judged = {**train.judgements, **dev.judgements}
    assert judged.items() <= dataset.judgements().items()  # a page without features stays relevant


def test_dev_gets_its_share_whole_documents_at_a_time(tmp_path):
    """A dev set of one query, of half the queries, or another one at every start."""
    pages = [PageKey(f"p{n:03d}", f"image {n}", f"d{n // 4}") for n in range(200)]
    dataset = _dataset(tmp_path, [(f"text {n}", f"p{n % 200:03d}") for n in range(600)])
    train, dev = split_views("train", dataset, _Tied(pages), 0.1, seed=0)
    assert 60 <= len(dev.queries) <= 90
    assert len(train.queries) == 600 - len(dev.queries)
    again, other = (split_views("train", dataset, _Tied(pages), 0.1, seed) for seed in (0, 1))
    assert _told(again) == _told((train, dev))
    assert _told(other)[1] != _told(again)[1]


def test_one_great_group_stays_in_training(tmp_path):
    """A question that is asked of half the corpus and drags it all into dev."""
    pages = [PageKey(f"p{n:03d}", f"image {n}", None) for n in range(100)]
    judged = [("what is the title", f"p{n:03d}") for n in range(50)]
    judged += [(f"text {n}", f"p{n:03d}") for n in range(100)]
    train, dev = split_views("train", _dataset(tmp_path, judged), _Tied(pages), 0.1, seed=0)
    assert "what is the title" in train.texts.to_pylist()
    assert 10 <= len(dev.queries) <= 16


def test_a_split_that_leaves_nothing_is_a_mistake(tmp_path):
    """A run without a dev set, whose rounds are judged by nothing."""
    pages = [PageKey(f"p{n}", f"image {n}", "one document") for n in range(9)]
    dataset = _dataset(tmp_path, [(f"text {n}", f"p{n}") for n in range(9)])
    with pytest.raises(DatasetError, match=r"all questions hang together, .*; add questi"):
        split_views("train", dataset, _Tied(pages), 0.1, seed=0)


def test_of_a_few_long_documents_the_shortest_becomes_dev(tmp_path):
    """A corpus of three books, none of them a tenth of the questions, that cannot be trained on."""
    documents = {"long": 60, "short": 20, "longest": 80}
    pages = [
        PageKey(f"{name}-{n}", f"image {name} {n}", name)
        for name, count in documents.items()
        for n in range(count)
    ]
    dataset = _dataset(tmp_path, [(f"text {page.page_id}", page.page_id) for page in pages])
    in_order = sorted(pages, key=lambda page: page.page_id)
    train, dev = split_views("train", dataset, _Tied(in_order), 0.1, 0)
    assert {page.split("-")[0] for _, page in pairs_of(dev)} == {"short"}
    assert len(dev.queries) == 20
    assert len(train.queries) == 140


def test_a_long_chain_of_ties_is_followed_in_one_pass(tmp_path):
    """Minutes for a corpus whose questions tie each page to one far away in the order of ids."""
    pages = [PageKey(f"p{n:05d}", f"image {n}", None) for n in range(60_000)]
    order = random.Random(0).sample(pages, len(pages) - 1)  # one page is left over
    judged = [(f"text {n // 2}", order[(n + 1) // 2].page_id) for n in range(2 * len(order) - 1)]
    left = ({page.page_id for page in pages} - {page.page_id for page in order}).pop()
    dataset = _dataset(tmp_path, [*judged, ("the last text", left)])
    start = time.process_time()
    train, dev = split_views("train", dataset, _Tied(pages), 0.1, seed=0)
    assert time.process_time() - start < 10  # seconds; a pass for each page took minutes
    assert dev.texts.to_pylist() == ["the last text"]
    assert len(train.pages) == len(order)
