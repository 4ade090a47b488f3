"""The text layer of PDFs: kept for those who read, and no part of what a page is."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from colintern.data.canonical import CanonicalDataset
from colintern.data.page_texts import page_texts
from colintern.ingestion import part_file, parts
from colintern.ingestion.text_layer import MAX_TEXT_CHARACTERS, cleaned
from colintern.runs import loop
from tests.helpers import png
from tests.ingestion.helpers import pages_in, pdf, run_ingest
from tests.ingestion.pdfs import one_page, written
from tests.local_run import NoWorkers, QuickWorkers, make_config


def _typed(path: Path, *lines: str) -> None:
    """A PDF of one page with lines of text."""
    text = " ".join(
        f"BT /F1 12 Tf 10 {80 - 20 * n} Td ({line}) Tj ET" for n, line in enumerate(lines)
    )
    path.write_bytes(written(*one_page(text)))


@pytest.fixture
def source(tmp_path) -> Path:
    """Two typed PDFs, a scan of two pages without a text layer, and a picture."""
    folder = tmp_path / "in"
    folder.mkdir()
    _typed(folder / "a.pdf", "Invoice 17", "for the kettle")
    _typed(folder / "b.pdf", "Nothing else")
    pdf(folder / "scan.pdf", 1, 2)
    (folder / "photo.png").write_bytes(png(3))
    return folder


def _texts(out: Path) -> dict[str, str | None]:
    return dict(page_texts(CanonicalDataset(str(out)).corpus_files))


def test_the_text_of_pdfs_is_kept_beside_their_pages(source, tmp_path):
    """A baseline without anything to read; scans and pictures counted as failures, or not told."""
    report = run_ingest(source, out=tmp_path / "out")
    assert _texts(tmp_path / "out") == {
        "a.pdf#0001": "Invoice 17\nfor the kettle",
        "b.pdf#0001": "Nothing else",
        "photo.png": None,
        "scan.pdf#0001": None,
        "scan.pdf#0002": None,
    }
    assert "no text layer in 2 of 4 pages of PDFs" in report.lines()
    document = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert (document["pages_of_pdfs"], document["without_text"]) == (4, 2)


def test_a_dataset_without_pdfs_is_told_nothing_about_text(tmp_path):
    """A line about text layers to somebody who has photographs."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "photo.png").write_bytes(png(3))
    report = run_ingest(tmp_path / "in", out=tmp_path / "out")
    assert not any("text layer" in line for line in report.lines())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("re\ufffequire\r\nit", "require\nit"),  # the marks that PDFium writes for a hyphen
        ("re\x02quire re\x02\r\nquire re\u00ad\nquire", "require require require"),
        ("e\u0301\x1c\x00\x8d\ufffd", "\u00e9"),
        ("\ud800lone", "lone"),
        (" \r\n\x0c ", None),
        ("", None),
        ("a\tb  c", "a\tb  c"),
        ("one\x0ctwo\x85three\x1dfour\x0bfive", "one two three four five"),
        ("x" * (MAX_TEXT_CHARACTERS + 1), "x" * MAX_TEXT_CHARACTERS),
    ],
)
def test_texts_are_cleaned(text, wanted):
    """Words that are cut where a line was, letters that no file can hold, a text without end."""
    assert cleaned(text) == wanted


@pytest.fixture
def earlier(source, tmp_path, monkeypatch) -> Path:
    """The dataset of `source`, as a version has made it that read no texts."""
    out = tmp_path / "out"
    (tmp_path / "q.csv").write_text(
        "query,file,page\nthe invoice?,a.pdf,1\nthe second?,scan.pdf,2\nelse?,b.pdf,1\n"
    )
    with monkeypatch.context() as patch:
        patch.setattr(parts, "_has_pdfs", lambda files: False)
        patch.setattr("colintern.ingestion.pdf.text_layer", lambda page: None)
        patch.setattr("colintern.ingestion.pool.Processes.each", _here)
        run_ingest(source, out=out, queries=str(tmp_path / "q.csv"))
    for path in (out / "corpus").iterdir():
        with pq.ParquetFile(path) as file:
            table, metadata = file.read(), dict(file.metadata.metadata)
        del metadata[part_file._WITHOUT_TEXT_KEY]
        origin = json.loads(metadata[part_file._ORIGIN_KEY])
        del origin["text_rules"]
        metadata[part_file._ORIGIN_KEY] = json.dumps(origin).encode()
        pq.write_table(table.replace_schema_metadata(metadata), path, compression="none")
    report = json.loads((out / "dataset.json").read_text())
    for key in ("pages_of_pdfs", "without_text"):
        del report[key]
    (out / "dataset.json").write_text(json.dumps(report))
    return out


def _here(self, function, work, seconds):
    """In this process, where what is patched is patched."""
    for item in work:
        yield item, function(item)


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.*"))}


def test_a_dataset_of_an_earlier_version_stays_as_it_is(source, earlier, caplog):
    """Pages drawn again, or a run that has to begin anew, because texts are read now."""
    caplog.set_level("INFO", "colintern")
    before = _contents(earlier)
    run_ingest(source, out=earlier)
    assert "nothing is new" in caplog.text
    assert "without the text layers of their pages; --replace draws them again" in caplog.text
    assert _contents(earlier) == before
    _typed(source / "c.pdf", "A new page")
    report = run_ingest(source, out=earlier)
    assert {page: text for page, text in _texts(earlier).items() if text} == {
        "c.pdf#0001": "A new page"
    }
    assert not any("text layer" in line for line in report.lines())  # of the others nobody knows
    assert before.items() - _contents(earlier).items() == {("dataset.json", before["dataset.json"])}


def test_texts_that_are_added_change_no_page_and_no_run(source, earlier, tmp_path):
    """Days of encoding again, or a drift, for a column that no model of ours sees."""
    pages, questions = pages_in(earlier), _contents(earlier / "queries")
    make_config(tmp_path)  # makes the other datasets
    config = make_config(
        tmp_path,
        data={"train": str(tmp_path / "train"), "eval": [{"path": str(earlier), "name": "own"}]},
    )
    folder = loop.run(config, QuickWorkers())
    run_ingest(source, out=earlier, replace=True)
    assert pages_in(earlier) == pages
    assert _contents(earlier / "queries") == questions
    assert _texts(earlier)["a.pdf#0001"] == "Invoice 17\nfor the kettle"
    before = _contents(Path(folder.path) / "records")
    loop.run(config, NoWorkers())
    assert _contents(Path(folder.path) / "records") == before
    other = config.model_copy(update={"run": config.run.model_copy(update={"name": "other"})})
    loop.run(other, _OnlyRounds())


class _OnlyRounds(QuickWorkers):
    """Whose stores have to be there."""

    def encode(self, *_, **__):
        raise AssertionError("encoded again")
