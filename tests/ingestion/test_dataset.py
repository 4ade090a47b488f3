"""Datasets of other layouts as a source: bad pages have a reason, the rest is as it was."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from colintern.data.canonical import CanonicalDataset, iterate_pages
from colintern.errors import DatasetError
from colintern.ingestion import IngestSettings, Report, ingest
from colintern.ingestion.dataset import _look_at_pages
from colintern.ingestion.pool import Processes
from tests.helpers import make_corpus, png
from tests.ingestion.workers import CrashingPath


def _ingest(source: Path, out: Path, **keys) -> Report:
    return ingest([str(source)], str(out), IngestSettings(num_processes=1, **keys))


def _pages(folder: Path) -> dict:
    files = CanonicalDataset(str(folder)).corpus_files
    return {page.page_id: page for file in files for _, page in iterate_pages(file)}


def _rows(folder: Path) -> list[dict]:
    return pq.read_table(folder / "corpus").to_pylist()


def _write(path: Path, rows: list[dict], schema: pa.Schema | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema), path)


def _image(data: bytes | None) -> dict:
    return {"bytes": data, "path": None}


def test_a_dataset_replaces_what_an_earlier_ingest_made(tmp_path):
    """Two corpora mixed in one folder, or one gone without a word."""
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / "in" / f"{number}.png").write_bytes(png(number))
    _ingest(tmp_path / "in", tmp_path / "out")
    make_corpus(tmp_path / "set", num_pages=5, num_queries=5)
    (tmp_path / "set" / "teaser.png").write_bytes(png(77))
    with pytest.raises(DatasetError, match=r"3 pages would go \(the first: 0\.png\).*--replace"):
        _ingest(tmp_path / "set", tmp_path / "out")
    assert list(_pages(tmp_path / "out")) == ["0.png", "1.png", "2.png"]
    assert _ingest(tmp_path / "set", tmp_path / "out", replace=True).pages == 5
    assert _pages(tmp_path / "out").keys() == _pages(tmp_path / "set").keys()


def test_a_dataset_of_another_layout_is_a_source(tmp_path):
    """A benchmark set that cannot be brought into one's own folder."""
    make_corpus(tmp_path / "set", num_pages=5, num_queries=6)
    report = _ingest(tmp_path / "set", tmp_path / "out")
    assert (report.pages, report.documents) == (5, 2)
    assert (report.queries, report.judgements) == (6, 6)
    assert report.duplicates == [["p000", "p001"]]
    assert _rows(tmp_path / "out") == _rows(tmp_path / "set")
    CanonicalDataset(str(tmp_path / "out")).check()


def _beir(folder: Path, judged: dict[str, list[str]]) -> None:
    """Pages a (good), b (cut), c (empty) of one document; German and English queries."""
    images = {"a": png(1), "b": png(2)[:3_000], "c": b"", "d": png(3)}
    corpus = [
        {"corpus_id": name, "image": _image(data), "doc_id": "manual", "page_number_in_doc": number}
        for number, (name, data) in enumerate(images.items(), 7)
    ]
    texts = {"q1": "one", "q2": "two", "q3": "three", "q4": " "}
    queries = [
        {"query_id": name, "query": text, "language": "de" if name == "q1" else "en"}
        for name, text in texts.items()
    ]
    qrels = [
        {"query_id": query, "corpus_id": page, "score": 1}
        for query, pages in judged.items()
        for page in pages
    ]
    for part, rows in (("corpus", corpus), ("queries", queries), ("qrels", qrels)):
        _write(folder / part / "test-00000-of-00001.parquet", rows)


def test_a_bad_page_of_a_dataset_costs_that_page(tmp_path):
    """A page that nobody can open in the new corpus, or judgements of pages that are gone."""
    _beir(tmp_path / "set", {"q1": ["a", "b"], "q2": ["b", "c"], "q3": ["d"], "q4": ["d"]})
    report = _ingest(tmp_path / "set", tmp_path / "out")
    reasons = {item.name: item.reason for item in report.bad}
    assert list(reasons) == ["b", "c"]
    assert "damaged image" in reasons["b"]
    assert reasons["c"] == "empty image"
    found = [(row["corpus-id"], row["doc-id"], row["page"]) for row in _rows(tmp_path / "out")]
    assert found == [("a", "manual", 7), ("d", "manual", 10)]
    dataset = CanonicalDataset(str(tmp_path / "out"))
    dataset.check()
    assert dataset.judgements() == {"q1": {"a": 1}, "q3": {"d": 1}}
    lost = {item.name: item.reason for item in report.bad_queries}
    assert lost == {"q2": "its page is bad: c", "q4": "empty query"}
    assert (report.pages, report.queries, report.judgements) == (2, 2, 2)


def test_a_language_of_a_dataset(tmp_path):
    """Every language taken although one was asked for, or a typing error that costs a corpus."""
    _beir(tmp_path / "set", {"q1": ["a"], "q3": ["d"]})
    report = _ingest(tmp_path / "set", tmp_path / "out", language="de")
    assert (report.pages, report.queries) == (2, 1)
    with pytest.raises(DatasetError, match=r"no query has language fr; there are: de, en"):
        _ingest(tmp_path / "set", tmp_path / "out", language="fr")
    assert len(_rows(tmp_path / "out")) == 2
    CanonicalDataset(str(tmp_path / "out")).check()
    assert (tmp_path / "out" / "dataset.json").exists()


def test_one_parquet_file_is_a_dataset(tmp_path):
    """A published set of one file, refused until it stands in a folder."""
    rows = [{"query": "one", "image": _image(png(1))}, {"query": None, "image": _image(png(2))}]
    _write(tmp_path / "set.parquet", rows)
    report = _ingest(tmp_path / "set.parquet", tmp_path / "out")
    assert (report.pages, report.queries, report.skipped) == (2, 1, {})


def test_another_split_of_a_dataset_is_no_file_of_another_kind(tmp_path):
    """The rest of a published set told as if it could not be read; one that is, as "1 files"."""
    rows = [{"query": "one", "image": _image(png(1))}]
    (tmp_path / "set").mkdir()
    for name in ("train-00000-of-00001", "test-00000-of-00001"):
        _write(tmp_path / "set" / f"{name}.parquet", rows)
    (tmp_path / "set" / "README.md").write_text("a set")
    report = _ingest(tmp_path / "set", tmp_path / "out", split="test")
    assert report.skipped == {".md": 1}
    assert "1 file of another kind skipped: 1 .md" in report.lines()


@pytest.mark.parametrize(("query", "page"), [("q1", "nowhere"), ("q9", "a")])
def test_judgements_of_what_is_not_there_are_one_line(tmp_path, query, page):
    """A dataset that only the run after next refuses."""
    _beir(tmp_path / "set", {query: [page]})
    with pytest.raises(DatasetError, match=r"qrels.*'(corpus|query)-id' (nowhere|q9) is not in"):
        _ingest(tmp_path / "set", tmp_path / "out")


def test_rows_keep_their_documents_and_page_numbers(tmp_path, caplog):
    """Columns that nobody looks at, a split mixed with another, or no sign of progress."""
    rows = [
        {"query": "one", "image": _image(png(1)), "image_filename": "a_page_3.jpg", "page": "12"},
        {"query": "two", "image": _image(png(1)), "image_filename": "a_page_3.jpg", "page": "12"},
        {"query": "", "image": _image(png(2)), "image_filename": "a_page_4.jpg", "page": "no"},
        {"query": None, "image": _image(None), "image_filename": "a_page_5.jpg", "page": None},
    ]
    _write(tmp_path / "set" / "data" / "train-00000-of-00001.parquet", rows)
    _write(tmp_path / "set" / "data" / "test-00000-of-00001.parquet", rows[:1])
    with pytest.raises(DatasetError, match=r"several splits \(test, train\)"):
        _ingest(tmp_path / "set", tmp_path / "out")
    with caplog.at_level("INFO", "colintern"):
        report = _ingest(tmp_path / "set", tmp_path / "out", split="train")
    found = [(row["corpus-id"], row["doc-id"], row["page"]) for row in _rows(tmp_path / "out")]
    assert found == [("0000000-a_page_3", "a", 12), ("0000001-a_page_4", "a", 4)]
    assert [item.line() for item in report.bad] == ["0000002-a_page_5: empty image"]
    assert [item.line() for item in report.bad_queries] == ["query of row 3: empty query"]
    assert (report.pages, report.documents, report.queries) == (2, 1, 2)
    assert "checking: 3 / 3 pages" in caplog.text


def test_settings_of_a_dataset_that_have_no_effect_are_refused(tmp_path):
    """`--split` given with a folder of pictures, and taken for done."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(png(1))
    with pytest.raises(DatasetError, match="is not a dataset; remove --split"):
        _ingest(tmp_path / "in", tmp_path / "out", split="train")
    make_corpus(tmp_path / "set", num_pages=2, num_queries=2)
    with pytest.raises(DatasetError, match="has queries already; remove --queries"):
        _ingest(tmp_path / "set", tmp_path / "out", queries="q.csv")
    both = [str(tmp_path / "in"), str(tmp_path / "set")]
    with pytest.raises(DatasetError, match="set: is itself a dataset; ingest it separately"):
        ingest(both, str(tmp_path / "out"), IngestSettings())


def test_a_page_that_crashes_the_decoder_costs_that_page(tmp_path, worker_processes):
    """A whole dataset lost to the picture that Pillow dies on."""
    for name in ("bad", "good"):
        make_corpus(tmp_path / name, num_pages=3, num_queries=1)
    bad, good = (str(tmp_path / name / "corpus/part-00000.parquet") for name in ("bad", "good"))
    with Processes(1) as processes:
        seen = _look_at_pages([CrashingPath(bad), good], processes)
    assert [page.page_id for page in seen] == ["p000", "p001", "p002"] * 2
    assert [page.reason for page in seen] == ["it crashes the renderer"] * 3 + [None] * 3
