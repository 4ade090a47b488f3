"""Where right pages stand: the same numbers as the metrics, for every question."""

import pytest

from colintern.data.entities import Judgement, Page, Query
from colintern.data.writing import write_dataset
from colintern.report import ranks as module
from colintern.report.examples import found_examples
from colintern.report.ranks import NOT_FOUND, QueryRanks, Ranking, read_ranks
from tests.helpers import CorpusFolder, png
from tests.report.helpers import write_results

# Question to its right pages, and to the pages found before and after.
_FOUND = {
    "lost": ("c", "ca", "ac"),
    "right": ("ab", "ba", "ab"),
    "won": ("c", "ab", "cab"),
    "wrong": ("z", "abc", "abc"),
}


@pytest.fixture
def read(tmp_path) -> QueryRanks:
    data = str(tmp_path / "data")
    pages = [Page(name, png(number)) for number, name in enumerate("abcz")]
    queries = [Query(name, f"text of {name}") for name in (*_FOUND, "not judged")]
    judgements = [Judgement(name, page, 1) for name, (own, *_) in _FOUND.items() for page in own]
    write_dataset(data, pages, queries, judgements)
    rankings = []
    for number, title in enumerate(("round 1", "round 2"), 1):
        path = tmp_path / f"{number}.parquet"
        found = {name: list(own[number]) for name, own in _FOUND.items()}
        write_results(path, {**found, "not judged": ["a"]})
        rankings.append(Ranking(title, str(path)))
    gone = Ranking("gone", str(tmp_path / "gone.parquet"))
    config = CorpusFolder(data).config.data
    found = read_ranks(config, "test", [gone, *rankings], before=1, after=2)
    assert found is not None
    return found


def test_ranks_and_outcomes(read):
    """A page of another question taken for right; ranks in another order than the questions."""
    assert read.query_ids == sorted(_FOUND)
    assert read.rank_RN.tolist() == [[1, 1, NOT_FOUND, NOT_FOUND], [2, 1, 1, NOT_FOUND]]
    assert [module.OUTCOMES[number] for number in read.outcomes] == sorted(_FOUND)
    assert read.counts == dict.fromkeys(module.OUTCOMES, 1)
    assert read.found == ["a", "a", "c", "a"]
    assert [own.title for own in read.rankings] == ["round 1", "round 2"]


def test_the_table_has_a_sample_of_a_large_set(read, monkeypatch):
    """Megabytes of rows, or the first questions only in place of a sample."""
    rows = read.table(seed=0)["rows"]
    assert rows[2] == ["won", "text of won", 0, [NOT_FOUND, 1], ["c"], "c"]
    monkeypatch.setattr(module, "MOST_ROWS", 2)
    samples = {tuple(row[0] for row in read.table(seed)["rows"]) for seed in range(9)}
    assert all(len(sample) == 2 for sample in samples)
    assert len(samples) > 1
    assert read.table(seed=3) == read.table(seed=3)


def test_examples_have_the_right_page_beside_what_was_found(read):
    """A failure whose right page is nowhere to be seen."""
    examples = {example.query_id: example for example in found_examples(read)}
    assert {name: example.kind for name, example in examples.items()} == {
        "won": "won",
        "wrong": "far",
        "lost": "near",
    }
    wrong = examples["wrong"]
    assert [page.page_id for page in wrong.right] == ["z"]
    assert [title for title, _ in wrong.found] == ["Found after round 2", "Found after round 1"]
    assert not any(page.is_right for _, pages in wrong.found for page in pages)
    assert [page.is_right for page in examples["won"].found[0][1]] == [True, False, False]
