"""One rule for judgements, wherever they stand: nothing is rounded, no row wins by its place."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from colintern.config.schema import DatasetConfig
from colintern.data.canonical import CanonicalDataset
from colintern.data.judgements import read_judgements, read_score
from colintern.data.resolve import find_source, made
from colintern.errors import DatasetError
from colintern.ingestion import IngestSettings, ingest
from colintern.ingestion.page_names import PageNames
from colintern.ingestion.part_file import WrittenPage
from colintern.ingestion.questions import read_questions
from tests.helpers import make_corpus


@pytest.mark.parametrize(
    ("value", "relevant_from", "score"),
    [
        (2, None, 2),
        (2.0, None, 2),
        (-1, None, -1),
        (0.9, None, None),
        (1.9, None, None),
        (10**400, None, None),
        (2_000_000, None, None),
        (0.9, 0.9, 1),
        (0.89, 0.9, 0),
        (2, 3, 0),
        (10**400, 3.0, 1),
        (-0.5, -1.0, 1),
        *[
            (value, relevant_from, None)
            for value in (None, True, False, "1", "", float("nan"), float("inf"), -float("inf"))
            for relevant_from in (None, 0.5)
        ],
    ],
)
def test_what_a_score_counts(value, relevant_from, score):
    """0.9 that becomes 0, 1.9 that becomes 1, or `true` taken for a grade."""
    assert read_score(value, relevant_from) == score


def _qrels(folder, form="qrels/part-00000", **columns) -> str:
    path = folder / f"{form}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({name.replace("_", "-"): of for name, of in columns.items()}), path)
    return str(path)


READERS = {
    "in place": lambda folder, root: CanonicalDataset(str(folder)).judgements(),
    "check": lambda folder, root: CanonicalDataset(str(folder)).check(),
    "import": lambda folder, root: made(
        find_source(DatasetConfig(path=str(folder), name="x", language="en"), str(root / "made"))
    ),
    "ingest": lambda folder, root: ingest(
        [str(folder)], str(root / "out"), IngestSettings(num_processes=1)
    ),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (
            [1.0, 0.9, 1.0],
            "has a value in row 2 .* whole number .*: 0.9; correct it, or .*relevant_f",
        ),
        ([1.0, 1.0, 1.9], "has a value in row 3 .* whole number .*: 1.9;"),
        ([float("nan"), 1.0, 1.0], "has a value in row 1 .*: nan;"),
        ([1.0, float("-inf"), 1.0], "has a value in row 2 .*: -inf;"),
        ([1, None, 1], "has an empty cell in row 2;"),
        (["1", "1", "1"], "is string; it must be numbers"),
        ([True, True, True], "is bool; it must be numbers"),
    ],
)
def test_a_score_that_is_no_grade_is_refused_by_its_row(tmp_path, reader, scores, words):
    """Three readers with three rules, each of which cuts floats."""
    make_corpus(tmp_path / "set", num_pages=3, num_queries=3)
    ids = {"query_id": ["q000", "q001", "q002"], "corpus_id": ["p000", "p001", "p002"]}
    path = _qrels(tmp_path / "set", **ids, score=scores)
    with pytest.raises(DatasetError, match=f"{path}: the column 'score' {words}"):
        READERS[reader](tmp_path / "set", tmp_path)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("scores", [[0, 1], [1, 0], [2, 1], [0.0, 1.0]])
def test_a_pair_that_is_judged_twice_otherwise_is_refused(tmp_path, reader, scores):
    """A page that is relevant or not by the order of the rows, also of two files."""
    make_corpus(tmp_path / "set", num_pages=3, num_queries=3)
    ids = {"query_id": ["q000", "q001"], "corpus_id": ["p000", "p001"]}
    _qrels(tmp_path / "set", **ids, score=[1, scores[0]])
    ids = {"query_id": ["q002", "q001"], "corpus_id": ["p002", "p001"]}
    path = _qrels(tmp_path / "set", "qrels/part-00001", **ids, score=[1, scores[1]])
    words = f"{path}: row 2 judges 'corpus-id' p001 for 'query-id' q001 with score"
    with pytest.raises(DatasetError, match=words):
        READERS[reader](tmp_path / "set", tmp_path)


def test_a_pair_that_is_judged_twice_alike_is_one(tmp_path):
    """A published set bad because a row stands there twice."""
    ids = {"query_id": ["a", "a", "a"], "corpus_id": [1, 1, 2]}
    path = _qrels(tmp_path, **ids, score=[2, 2, 0])
    found = read_judgements([path]).to_pydict()
    assert found == {"query-id": ["a", "a"], "corpus-id": ["1", "2"], "score": [2, 0]}


@pytest.mark.parametrize("form", ["qrels/part-00000", "data/qrels-0"])
def test_scores_that_are_relevant_from_a_value_on(tmp_path, form):
    """Similarities in place of grades, with no way to say what they mean."""
    make_corpus(tmp_path / "set", num_pages=3, num_queries=3)
    (tmp_path / "set/qrels/part-00000.parquet").unlink()
    ids = {"query_id": ["q000", "q001", "q002", "q002"], "corpus_id": ["p000", "p001", "p002"] * 2}
    ids["corpus_id"] = ids["corpus_id"][:4]
    _qrels(tmp_path / "set", form, **ids, score=[0.71, 0.7, 0.69, 3.5])
    document = {"path": str(tmp_path / "set"), "relevant_from": 0.7}
    dataset = DatasetConfig.model_validate(document)
    folder = made(find_source(dataset, str(tmp_path / "made")))
    judged = CanonicalDataset(folder)
    judged.check()
    assert judged.judgements() == {"q000": {"p000": 1}, "q001": {"p001": 1}, "q002": {"p000": 1}}
    other = made(
        find_source(dataset.model_copy(update={"relevant_from": 3}), str(tmp_path / "made"))
    )
    assert other != folder
    assert CanonicalDataset(other).judgements() == {"q002": {"p000": 1}}
    ingest(
        [str(tmp_path / "set")],
        str(tmp_path / "out"),
        IngestSettings(num_processes=1, relevant_from=0.7),
    )
    assert CanonicalDataset(str(tmp_path / "out")).judgements() == judged.judgements()


def _questions(path, rows, **keys):
    if path.suffix == ".csv":
        names = ("query", "file", "score", "language")
        lines = [",".join(str(row.get(name, "")) for name in names) for row in rows]
        path.write_text("\n".join([",".join(names), *lines]))
    else:
        path.write_text("\n".join(map(json.dumps, rows)))
    pages = [WrittenPage(name, name, 1, "") for name in ("a.png", "b.png", "c.png")]
    found = read_questions(str(path), PageNames(pages), **keys)
    texts = {query.query_id: (query.text, query.language) for query in found.queries}
    judged = [(*texts[one.query_id], one.page_id, one.score) for one in found.judgements]
    return judged, [(item.name.removeprefix(f"{path}, "), item.reason) for item in found.bad]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_scores_of_a_queries_file(tmp_path, kind):
    """The larger of two judgements taken, a score cut, or a query without its page."""
    rows = [
        {"query": "one", "file": "a.png", "score": 2},
        {"query": "one", "file": "a.png", "score": 2},
        {"query": "one", "file": "b.png"},
        {"query": "two", "file": "a.png", "score": 0},
        {"query": "TWO", "file": "a.png", "score": 1},
        {"query": "two", "file": "b.png", "score": 0.9},
        {"query": "six", "file": "a.png", "score": "high"},
        {"query": "six", "file": "b.png", "score": float("nan")},
    ]
    judged, bad = _questions(tmp_path / f"q.{kind}", rows)
    assert judged == [("one", None, "a.png", 2), ("one", None, "b.png", 1)]
    whole = "its score is not a whole number up to 1,000,000"
    first = 5 if kind == "csv" else 4  # below the header
    twice = (
        f"it is judged more than once for a.png: 0 on line {first}, 1 on line {first + 1}; "
        "keep one of them"
    )
    reasons = [twice, twice, f"{whole}: 0.9", f"{whole}: high", f"{whole}: nan"]
    assert bad == [(f"line {number}", reason) for number, reason in enumerate(reasons, first)]
    judged, bad = _questions(tmp_path / f"q.{kind}", rows[:6], relevant_from=2)
    assert ("one", None, "b.png", 1) in judged  # no score: it answers
    assert ("two", None, "b.png", 0) in judged
    assert bad == []


@pytest.mark.parametrize("value", [None, True, "1"])
def test_what_is_no_number_in_json_is_no_score(tmp_path, value):
    """`true`, `null` and text, judged relevant."""
    judged, bad = _questions(
        tmp_path / "q.jsonl", [{"query": "one", "file": "a.png", "score": value}]
    )
    assert (judged, len(bad)) == ([], 1)
    assert str(value) in bad[0][1]
