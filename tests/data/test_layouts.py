"""Published layouts, untouched: nothing is lost, merged wrongly or read from the wrong split."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from colintern import log
from colintern.config.schema import DatasetConfig
from colintern.data.canonical import CanonicalDataset, iterate_pages, largest_row_group_bytes
from colintern.data.entities import Page
from colintern.data.layouts import find_layout
from colintern.data.resolve import find_source, made, source_url
from colintern.data.writing import corpus_table, parquet_bytes
from colintern.errors import DatasetError
from colintern.storage import sha256_of_bytes
from tests.helpers import make_corpus, png

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def _write(path: Path, **columns) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {
        name: pa.array([{"bytes": value, "path": None} for value in values], IMAGE)
        if name == "image"
        else pa.array(values)
        for name, values in columns.items()
    }
    pq.write_table(pa.table({n.replace("__", "-"): v for n, v in arrays.items()}), path)


def _resolve(path: Path, root: Path, **keys) -> CanonicalDataset:
    dataset = DatasetConfig.model_validate({"path": str(path), **keys})
    return CanonicalDataset(made(find_source(dataset, str(root / "made"))))


def _pages(dataset: CanonicalDataset) -> dict:
    return {page.page_id: page for file in dataset.corpus_files for _, page in iterate_pages(file)}


def _asked(dataset: CanonicalDataset) -> dict[str, set[str]]:
    """Query text to the hashes of its relevant images."""
    hashes = {name: sha256_of_bytes(page.image) for name, page in _pages(dataset).items()}
    judged = dataset.judgements()
    return {
        query.text: {hashes[page] for page in judged[query.query_id]} for query in dataset.queries()
    }


def test_rows_become_unique_pages_and_queries(tmp_path):
    """colpali_train_set: a page a row, or positives lost when a question stands twice."""
    one, two, three = png(1), png(2), png(3)
    _write(
        tmp_path / "set" / "data" / "train-00000-of-00002.parquet",
        image=[one, one, two],
        image_filename=["images/doc_page_0001.jpg"] * 2 + ["images/doc_page_0002.jpg"],
        query=["what is a", "what is b", "WHAT is a "],
        source=["left", "left", "right"],
        answer=["", "", ""],
    )
    _write(
        tmp_path / "set" / "data" / "train-00001-of-00002.parquet",
        image=[three, one],
        image_filename=["infographic.png", "again.jpg"],
        query=[None, "what is c"],
        source=["left", "left"],
        answer=["", ""],
    )
    dataset = _resolve(tmp_path / "set", tmp_path)
    one, two, three = map(sha256_of_bytes, (one, two, three))
    assert _asked(dataset) == {"what is a": {one, two}, "what is b": {one}, "what is c": {one}}
    pages = _pages(dataset)
    assert list(pages) == ["0000000-doc_page_0001", "0000001-doc_page_0002", "0000002-infographic"]
    assert [page.doc_id for page in pages.values()] == ["doc", "doc", None]
    assert {query.source for query in dataset.queries()} == {"left"}


def test_a_page_without_a_query_is_still_searched(tmp_path):
    """ViDoRe v1 QA: a distractor page dropped with its null query, so that search is too easy."""
    _write(
        tmp_path / "qa" / "test-00000-of-00001.parquet",
        query=["a", None, "b"],
        image=[png(1), png(2), png(3)],
        image_filename=["x.png", "y.png", "z.png"],
    )
    dataset = _resolve(tmp_path / "qa", tmp_path)
    assert len(_pages(dataset)) == 3
    assert set(_asked(dataset)) == {"a", "b"}


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
        _write(tmp_path / "set" / f"{form.format(part=part)}.parquet", **columns)
    dataset = _resolve(tmp_path / "set", tmp_path)
    dataset.check()
    assert dataset.judgements() == {"5": {"1": 2}, "6": {"10": 1}}
    assert _pages(dataset)["10"].image == png(2)
    french = _resolve(tmp_path / "set", tmp_path, language="french")
    assert [query.text for query in french.queries()] == ["b"]
    assert french.judgements() == {"6": {"10": 1}}
    assert len(_pages(french)) == 2
    with pytest.raises(DatasetError, match=r"queries.*no query has language german.*english, fren"):
        _resolve(tmp_path / "set", tmp_path, language="german")


def test_one_split_of_several(tmp_path):
    """Test pages in the training corpus, because both splits stand in one folder."""
    for split, number in (("train", 1), ("test", 2)):
        _write(
            tmp_path / "set" / "data" / f"{split}-00000-of-00001.parquet",
            query=[split],
            image=[png(number)],
        )
    with pytest.raises(DatasetError, match=r"several splits \(test, train\)"):
        _resolve(tmp_path / "set", tmp_path)
    dataset = _resolve(tmp_path / "set", tmp_path, split="train")
    assert [query.text for query in dataset.queries()] == ["train"]
    assert len(_pages(dataset)) == 1
    with pytest.raises(DatasetError, match="has no split dev"):
        _resolve(tmp_path / "set", tmp_path, split="dev")


def test_a_split_without_effect_is_told(tmp_path, monkeypatch):
    """Two datasets that are believed to be the train and the test split, and are the same pages."""
    told = []
    monkeypatch.setattr(log, "warn_once", lambda part, message: told.append(message))
    make_corpus(tmp_path / "set", num_pages=4, num_queries=4)
    _write(tmp_path / "named" / "train.parquet", query=["a"], image=[png(1)])
    find_layout(str(tmp_path / "set"), None)
    find_layout(str(tmp_path / "named"), "train")
    assert told == []
    find_layout(str(tmp_path / "set"), "train")
    assert [line.split(": ")[0] for line in told] == [str(tmp_path / "set")]


def test_a_canonical_folder_is_read_where_it_stands(tmp_path):
    """A copy of a corpus that nobody asked for."""
    make_corpus(tmp_path / "set", num_pages=4, num_queries=4)
    dataset = _resolve(tmp_path / "set", tmp_path)
    assert dataset.path == str(tmp_path / "set")
    assert not (tmp_path / "made").exists()


def test_large_row_groups_are_cut_once(tmp_path, monkeypatch):
    """A gigabyte read by every worker for every few pages of a corpus in one row group."""
    make_corpus(tmp_path / "set", num_pages=70, num_queries=70)
    before = CanonicalDataset(str(tmp_path / "set"))
    corpus = tmp_path / "set" / "corpus" / "part-00000.parquet"
    pq.write_table(pq.read_table(corpus), corpus, row_group_size=70)
    size = largest_row_group_bytes([str(corpus)])
    monkeypatch.setattr("colintern.data.resolve._ROW_GROUP_BYTES", size)
    assert _resolve(tmp_path / "set", tmp_path).path == before.path
    monkeypatch.setattr("colintern.data.resolve._ROW_GROUP_BYTES", size - 1)
    cut = _resolve(tmp_path / "set", tmp_path)
    assert cut.path.startswith(str(tmp_path / "made"))
    assert largest_row_group_bytes(cut.corpus_files) < size
    assert {name: page.image for name, page in _pages(cut).items()} == {
        name: page.image for name, page in _pages(before).items()
    }
    assert (cut.queries(), cut.judgements()) == (before.queries(), before.judgements())


def test_large_pages_are_written_in_small_row_groups(tmp_path, monkeypatch):
    """64 scans of 20 megabytes in one row group of our own."""
    monkeypatch.setattr("colintern.data.writing._BYTES_PER_ROW_GROUP", 1_000)
    pages = [Page(f"{number:02d}", bytes(400)) for number in range(10)]
    (tmp_path / "a.parquet").write_bytes(parquet_bytes(corpus_table(pages)))
    assert pq.read_metadata(tmp_path / "a.parquet").num_row_groups == 5


def test_a_dataset_is_brought_in_once_and_again_when_it_has_changed(tmp_path, monkeypatch):
    """A corpus copied at every start, or never again."""
    rows = tmp_path / "set" / "rows.parquet"
    _write(rows, query=["a"], image=[png(1)])
    first = _resolve(tmp_path / "set", tmp_path)
    details = json.loads((Path(first.path) / "dataset.json").read_text())
    assert (details["pages"], details["queries"], details["layout"]) == (1, 1, "rows")

    def never(*_):
        raise AssertionError("it stands there already")

    with monkeypatch.context() as patch:
        patch.setattr("colintern.data.resolve.import_dataset", never)
        assert _resolve(tmp_path / "set", tmp_path).path == first.path
    _write(rows, query=["a", "b"], image=[png(1), png(2)])
    second = _resolve(tmp_path / "set", tmp_path)
    assert second.path != first.path
    assert len(second.queries()) == 2


@pytest.mark.parametrize(
    ("part", "columns", "words"),
    [
        ("queries", {"query__id": [1, 1], "query": ["a", "b"]}, "'query-id' 1 stands twice"),
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
    _write(tmp_path / "set" / "queries" / "part-00000.parquet", query__id=[1], query=["a"])
    qrels = {"query__id": [1], "corpus__id": ["p000"], "score": [1]}
    _write(tmp_path / "set" / "qrels" / "part-00000.parquet", **qrels)
    _write(tmp_path / "set" / part / "part-00000.parquet", **columns)
    with pytest.raises(DatasetError, match=words) as caught:
        CanonicalDataset(str(tmp_path / "set")).check()
    assert str(tmp_path / "set") in str(caught.value)


def test_ids_made_of_file_names_hold_no_control_character(tmp_path):
    """An imported dataset that its own reader refuses, for the name of one picture."""
    _write(
        tmp_path / "set" / "data.parquet",
        image=[png(1)],
        image_filename=["a\0 b\n_page_3.png"],
        query=["what"],
    )
    pages = _pages(_resolve(tmp_path / "set", tmp_path))
    assert {name: page.doc_id for name, page in pages.items()} == {"0000000-a b_page_3": "a b"}


def test_one_id_with_two_images_is_refused(tmp_path):
    """Judgements that mean one page and get another."""
    for part, columns in {
        "corpus": {"corpus__id": [1, 1], "image": [png(1), png(2)]},
        "queries": {"query__id": [5], "query": ["a"]},
        "qrels": {"query__id": [5], "corpus__id": [1], "score": [1]},
    }.items():
        _write(tmp_path / "set" / f"{part}-0.parquet", **columns)
    with pytest.raises(DatasetError, match="'corpus-id' 1 stands twice, with two images"):
        _resolve(tmp_path / "set", tmp_path)


def test_a_folder_that_is_no_dataset_says_what_is_missing(tmp_path):
    """A stack trace for a folder of PDFs."""
    with pytest.raises(DatasetError, match="colintern ingest"):
        find_layout(str(tmp_path), None)
    _write(tmp_path / "corpus" / "a.parquet", other=[1])
    with pytest.raises(DatasetError, match=r"no queries, qrels files.*lacks the columns"):
        find_layout(str(tmp_path), None)
    make_corpus(tmp_path / "set", num_pages=1, num_queries=1)
    with pytest.raises(DatasetError, match="layout is canonical, not format: rows"):
        find_layout(str(tmp_path / "set"), None, "rows")


def test_a_hub_dataset_is_pinned(tmp_path):
    """Features of one version of a corpus, judgements of the next."""

    def url(**keys) -> str:
        return source_url(DatasetConfig.model_validate(keys))

    assert url(path="vidore/x", revision="ab12") == "hf://datasets/vidore/x@ab12"
    assert url(path="hf://datasets/vidore/x", revision="ab12") == "hf://datasets/vidore/x@ab12"
    assert url(path="hf://datasets/vidore/x@ab12") == "hf://datasets/vidore/x@ab12"
    assert url(path=str(tmp_path), revision="ab12") == str(tmp_path)
    with pytest.raises(DatasetError, match="pinned commit"):
        url(path="hf://datasets/vidore/x")
