"""Rows and BEIR layouts become canonical folders: pages once, queries once, ids kept."""

import pytest

from colintern.data.canonical import CanonicalDataset
from colintern.data.page_texts import page_texts
from colintern.errors import DatasetError
from colintern.storage import sha256_of_bytes
from tests.data.helpers import asked, pages_of, resolve, write
from tests.helpers import make_corpus, png


def test_rows_become_unique_pages_and_queries(tmp_path):
    """colpali_train_set: a page a row, or positives lost when a question occurs twice."""
    one, two, three = png(1), png(2), png(3)
    write(
        tmp_path / "set" / "data" / "train-00000-of-00002.parquet",
        image=[one, one, two],
        image_filename=["images/doc_page_0001.jpg"] * 2 + ["images/doc_page_0002.jpg"],
        query=["what is a", "what is b", "WHAT is a "],
        source=["left", "left", "right"],
        answer=["", "", ""],
    )
    write(
        tmp_path / "set" / "data" / "train-00001-of-00002.parquet",
        image=[three, one],
        image_filename=["infographic.png", "again.jpg"],
        query=[None, "what is c"],
        source=["left", "left"],
        answer=["", ""],
    )
    dataset = resolve(tmp_path / "set", tmp_path)
    one, two, three = map(sha256_of_bytes, (one, two, three))
    assert asked(dataset) == {"what is a": {one, two}, "what is b": {one}, "what is c": {one}}
    pages = pages_of(dataset)
    assert list(pages) == ["0000000-doc_page_0001", "0000001-doc_page_0002", "0000002-infographic"]
    assert [page.doc_id for page in pages.values()] == ["doc", "doc", None]
    assert {query.source for query in dataset.queries()} == {"left"}


def test_a_page_without_a_query_is_still_searched(tmp_path):
    """ViDoRe v1 QA: a distractor page dropped with its null query, so that search is too easy."""
    write(
        tmp_path / "qa" / "test-00000-of-00001.parquet",
        query=["a", None, "b"],
        image=[png(1), png(2), png(3)],
        image_filename=["x.png", "y.png", "z.png"],
    )
    dataset = resolve(tmp_path / "qa", tmp_path)
    assert len(pages_of(dataset)) == 3
    assert set(asked(dataset)) == {"a", "b"}


@pytest.mark.parametrize("mark", ["__", "_"])
@pytest.mark.parametrize("form", ["{part}/test-00000-of-00001", "data/{part}-00000-of-00001"])
def test_beir_with_hyphens_or_underscores(tmp_path, mark, form):
    """ViDoRe v2 and v3: integer ids, float or graded scores, columns that nobody knows."""
    ids, query_ids = f"corpus{mark}id", f"query{mark}id"
    for part, columns in {
        "corpus": {ids: [1, 10], "image": [png(1), png(2)], "markdown": ["x", "y"]},
        "queries": {query_ids: [5, 6], "query": ["a", "b"], "language": ["english", "french"]},
        "qrels": {query_ids: [5, 5, 6], ids: [1, 10, 10], "score": [2.0, 0.0, 1.0]},
    }.items():
        write(tmp_path / "set" / f"{form.format(part=part)}.parquet", **columns)
    dataset = resolve(tmp_path / "set", tmp_path)
    dataset.check()
    assert dataset.judgements() == {"5": {"1": 2}, "6": {"10": 1}}
    assert pages_of(dataset)["10"].image == png(2)
    assert dict(page_texts(dataset.corpus_files)) == {"1": "x", "10": "y"}
    french = resolve(tmp_path / "set", tmp_path, language="french")
    assert [query.text for query in french.queries()] == ["b"]
    assert french.judgements() == {"6": {"10": 1}}
    assert len(pages_of(french)) == 2
    with pytest.raises(DatasetError, match=r"queries.*no query has language german.*english, fren"):
        resolve(tmp_path / "set", tmp_path, language="german")


@pytest.mark.parametrize(
    ("part", "columns", "words"),
    [
        ("queries", {"query__id": [1, 1], "query": ["a", "b"]}, "'query-id' 1 occurs twice"),
        ("qrels", {"query__id": [9], "corpus__id": ["p000"], "score": [1]}, "'query-id' 9 is not"),
        ("qrels", {"query__id": [1], "corpus__id": ["gone"], "score": [1]}, "'corpus-id' gone is"),
        ("qrels", {"query__id": [1], "corpus__id": ["p000"], "score": ["1"]}, "'score' is string"),
        ("queries", {"query__id": [1], "query": [7]}, "'query' is int64; it must be text"),
        ("corpus", {"corpus__id": [1], "image": [b""], "x": [1]}, "'corpus-id' p000 is not in"),
    ],
)
def test_mistakes_name_file_and_column(tmp_path, part, columns, words):
    """A run that ends hours later, or quietly trains on less."""
    make_corpus(tmp_path / "set", num_pages=2, num_queries=2)
    write(tmp_path / "set" / "queries" / "part-00000.parquet", query__id=[1], query=["a"])
    qrels = {"query__id": [1], "corpus__id": ["p000"], "score": [1]}
    write(tmp_path / "set" / "qrels" / "part-00000.parquet", **qrels)
    write(tmp_path / "set" / part / "part-00000.parquet", **columns)
    with pytest.raises(DatasetError, match=words) as caught:
        CanonicalDataset(str(tmp_path / "set")).check()
    assert str(tmp_path / "set") in str(caught.value)


def test_ids_made_of_file_names_hold_no_control_character(tmp_path):
    """An imported dataset that its own reader refuses, for the name of one picture."""
    write(
        tmp_path / "set" / "data.parquet",
        image=[png(1)],
        image_filename=["a\0 b\n_page_3.png"],
        query=["what"],
    )
    pages = pages_of(resolve(tmp_path / "set", tmp_path))
    assert {name: page.doc_id for name, page in pages.items()} == {"0000000-a b_page_3": "a b"}


def test_one_id_with_two_images_is_refused(tmp_path):
    """Judgements that mean one page and get another."""
    for part, columns in {
        "corpus": {"corpus__id": [1, 1], "image": [png(1), png(2)]},
        "queries": {"query__id": [5], "query": ["a"]},
        "qrels": {"query__id": [5], "corpus__id": [1], "score": [1]},
    }.items():
        write(tmp_path / "set" / f"{part}-0.parquet", **columns)
    with pytest.raises(DatasetError, match="'corpus-id' 1 occurs twice, with two images"):
        resolve(tmp_path / "set", tmp_path)
