"""Queries files: every row finds its page, or has a reason."""

import difflib
import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from PIL import Image

from colintern.data.canonical import CanonicalDataset
from colintern.errors import DatasetError
from colintern.ingestion.alike import AlikeNames
from colintern.ingestion.page_names import PageNames
from colintern.ingestion.part_file import WrittenPage
from colintern.ingestion.questions import read_questions
from tests.helpers import png
from tests.ingestion.helpers import blocks, pdf, run_ingest

QUERIES = [
    {"query": "what is one", "file": "doc.pdf", "page": 1},
    {"query": " WHAT is one ", "file": "doc.pdf", "page": 2},
    {"query": "where is <img> or <IMG_CONTEXT>", "id": "doc.pdf#0002"},
    {"query": "", "file": "doc.pdf", "page": 1},
    {"query": "x" * 100_000, "file": "doc.pdf", "page": 1},
    {"query": "lost", "file": "doc.pdf", "page": 9},
    {"query": "picture", "file": "p.png"},
]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_questions_find_their_pages(tmp_path, kind):
    """A question on another page, or dropped without a word."""
    (tmp_path / "in").mkdir()
    pdf(tmp_path / "in" / "doc.pdf", 1, 2)
    (tmp_path / "in" / "p.png").write_bytes(png(3))
    path = tmp_path / f"q.{kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in QUERIES))
    else:
        lines = [
            ",".join(f'"{row.get(name, "")}"' for name in ("query", "file", "page", "id"))
            for row in QUERIES
        ]
        path.write_text("query,file,page,id\n" + "\n".join(lines))
    report = run_ingest(tmp_path / "in", out=tmp_path / "out", queries=str(path))
    dataset = CanonicalDataset(str(tmp_path / "out"))
    dataset.check()
    texts = {query.query_id: query.text for query in dataset.queries()}
    assert {texts[name]: set(pages) for name, pages in dataset.judgements().items()} == {
        "what is one": {"doc.pdf#0001", "doc.pdf#0002"},
        "where is <img> or <IMG_CONTEXT>": {"doc.pdf#0002"},
        "picture": {"p.png"},
    }
    reasons = {item.name.removeprefix(f"{path}, line "): item.reason for item in report.bad_queries}
    numbers = ["5", "6", "7"] if kind == "csv" else ["4", "5", "6"]
    assert list(reasons) == numbers
    words = ("empty", "100,000 characters", "its page is 9, but doc.pdf has 2 pages")
    assert all(part in reasons[number] for part, number in zip(words, numbers, strict=True))
    assert "warning: 3 of 7 questions are not used:" in report.lines()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("q.csv", "question,page\nx,1", "needs query"),
        ("q.jsonl", '\n{"query": "x"}', "line 2: needs query"),
        ("q.jsonl", "{not json", "line 1: is not JSON"),
        ("q.txt", "x", "ends in .csv or .jsonl"),
        ("q.csv", "query,file\n", "has no query"),
        ("q.jsonl", "", "has no query"),
        ("q.csv", 'query,file\n"never closed,p.png\nx,p.png', "unexpected end of data; correct"),
        ("q.csv", "query,file\ngr\udcf6\udcdfe,p.png", "is not UTF-8"),
    ],
)
def test_a_bad_queries_file_is_one_line(tmp_path, name, text, words):
    """A KeyError after an hour of rendering."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "p.png").write_bytes(png(3))
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DatasetError, match=words):
        run_ingest(tmp_path / "in", out=tmp_path / "out", queries=str(tmp_path / name))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("bom.csv", b"\xef\xbb\xbfquery,file,page\nwhat,p.png,1\n"),
        ("semicolons.csv", b"Query;File;Page\nwhat;p.png;1\n"),
        ("tabs.csv", b"query\tfile\tpage\nwhat\tp.png\t1.0\n"),
        ("spaces.csv", b"query, file, page\nwhat, p.png, \n"),
    ],
)
def test_queries_files_as_spreadsheets_write_them(tmp_path, name, data):
    """A file refused because of how a German spreadsheet writes it."""
    (tmp_path / name).write_bytes(data)
    page = WrittenPage("p.png", "p.png", 1, "")
    found = read_questions(str(tmp_path / name), PageNames([page]))
    assert [query.text for query in found.queries] == ["what"]
    assert ([one.page_id for one in found.judgements], found.bad) == (["p.png"], [])


COMPOSED, APART = "gr\u00f6\u00dfe.pdf", "gro\u0308\u00dfe.pdf"


@pytest.mark.parametrize("stored", [COMPOSED, APART])
@pytest.mark.parametrize("asked", [COMPOSED, APART])
def test_names_are_equal_however_a_system_writes_them(tmp_path, stored, asked):
    """All questions on files with an umlaut lost, as the queries were written on another system."""
    pages = [WrittenPage(f"{stored}#{n:04d}", stored, n, "") for n in (1, 2)]
    rows = [{"query": "a", "file": asked, "page": 2}, {"query": "b", "id": f"{asked}#0001"}]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    read = read_questions(str(tmp_path / "q.jsonl"), PageNames(pages))
    texts = {query.query_id: query.text for query in read.queries}
    assert {texts[found.query_id]: found.page_id for found in read.judgements} == {
        "a": f"{stored}#0002",
        "b": f"{stored}#0001",
    }
    assert read.bad == []


def test_of_two_names_that_look_alike_the_exact_one_is_meant(tmp_path):
    """A question on the other of two files, or on whichever comes first."""
    pages = [WrittenPage(name, name, 1, name) for name in (COMPOSED, APART)]
    mixed = "o\u0308\u00f6.pdf"
    pages += [
        WrittenPage(name, name, 1, name) for name in ("\u00f6\u00f6.pdf", "o\u0308o\u0308.pdf")
    ]
    rows = [{"query": name, "file": name} for name in (COMPOSED, APART, mixed)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    read = read_questions(str(tmp_path / "q.jsonl"), PageNames(pages))
    # The texts are equal after NFC, so both judge for one query.
    assert {found.page_id for found in read.judgements} == {COMPOSED, APART}
    (bad,) = read.bad
    assert bad.reason.startswith(f"its file is not in the dataset: {mixed}; did you mean ")


def test_odd_rows_of_a_queries_file_have_a_reason(tmp_path):
    """A row that ends the ingest in a traceback after the work, or lands on another page."""
    rows = [
        '{"query": "a", "file": "p.png", "page": 0}',
        '{"query": "a", "file": "p.png", "page": 1.7}',
        '{"query": "a", "file": "p.png", "page": true}',
        '{"query": "a", "file": null}',
        '{"query": "a"}',
        '{"query": "a\\ud800b", "file": "p.png"}',
        '{"query": "a", "file": "\\ud800.png"}',
        '{"query": "a", "file": "p.png", "score": 1e400}',
        '{"query": "a", "file": "p.png", "score": 1e12}',
    ]
    (tmp_path / "q.jsonl").write_text("\n".join(rows))
    (tmp_path / "q.csv").write_text("query,file\nwhat, then,p.png\nwhat\n")
    page = WrittenPage("p.png", "p.png", 1, "")
    names = PageNames([page])
    found = [read_questions(str(tmp_path / name), names) for name in ("q.jsonl", "q.csv")]
    assert not any(read.queries for read in found)
    assert [item.reason for read in found for item in read.bad] == [
        "its page is 0: pages are counted from 1, and p.png has 1 page",
        "its page is not a number: 1.7",
        "its page is not a number: True",
        "it names no page",
        "it names no page",
        "it holds half a character (a lone surrogate)",
        "it holds half a character (a lone surrogate)",
        "its score is not a whole number up to 1,000,000: inf",
        "its score is not a whole number up to 1,000,000: 1000000000000.0",
        "it has more values than there are columns: put quotes around its commas",
        "it names no page",
    ]


@pytest.fixture
def manual(tmp_path) -> Path:
    """A manual of four pages, of which one is blank; a letter in a folder; a damaged file."""
    (source := tmp_path / "in").mkdir()
    pages = [blocks(1), blocks(2), Image.new("RGB", (60, 80), "white"), blocks(4)]
    pages[0].save(source / "manual.pdf", "PDF", save_all=True, append_images=pages[1:])
    (source / "sub").mkdir()
    pdf(source / "sub" / "A Letter.pdf", 5)
    (source / "shot.png").write_bytes(png(6))
    (source / "broken.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    return source


WRONG = [
    ({"file": "manual.pdf"}, "it does not say which page, and manual.pdf has 4 pages"),
    ({"file": "manual.pdf", "page": " "}, "it does not say which page, and manual.pdf has 4 pages"),
    ({"file": "manual.pdf", "page": 99}, "its page is 99, but manual.pdf has 4 pages"),
    ({"file": "shot.png", "page": 2}, "its page is 2, but shot.png has 1 page"),
    ({"file": "manual.pdf", "page": 0}, "its page is 0: pages are counted from 1"),
    ({"file": "manual.pdf", "page": "iv"}, "its page is not a number: iv"),
    ({"file": "manual.pdf", "page": 3}, "page 3 of manual.pdf was refused: blank: every pixel"),
    ({"file": "broken.pdf", "page": 1}, "broken.pdf was refused: damaged PDF"),
    ({"file": "manul.pdf", "page": 1}, "manul.pdf; did you mean manual.pdf?"),
    ({"file": "Manual.PDF", "page": 1}, "Manual.PDF; did you mean manual.pdf?"),
    ({"file": "A Letter.pdf"}, "A Letter.pdf; did you mean sub/A Letter.pdf?"),
    ({"file": "C:\\in\\sub\\a letter.pdf"}, "did you mean sub/A Letter.pdf?"),
    ({"file": "shot.jpg"}, "shot.jpg; did you mean shot.png?"),
    ({"file": "quite other.pdf"}, "its file is not in the dataset: quite other.pdf"),
    ({"id": "manual.pdf#0003"}, "page 3 of manual.pdf was refused: blank"),
    ({"id": "manual.pdf#0009"}, "its page is 9, but manual.pdf has 4 pages"),
    ({"id": "manual.pdf#2"}, "manual.pdf#2; did you mean manual.pdf#0002?"),
    ({"id": "manul.pdf#0002"}, "manul.pdf#0002; did you mean manual.pdf#0002?"),
    ({"id": "manual.pdf"}, "it does not say which page, and manual.pdf has 4 pages"),
    ({"id": "other"}, "its page is not in the dataset: other"),
]


def _ask(path: Path, rows: Iterable[dict]) -> str:
    path.write_text("".join(json.dumps({"query": f"{n}?"} | row) + "\n" for n, row in rows))
    return str(path)


def test_a_question_on_no_page_is_refused_by_its_line_with_help(manual, tmp_path):
    """A question without a page judged as page 1; wrong files and numbers that nobody hears of.

    A page may be left out where there is only one.
    """
    good = [{"file": "sub/A Letter.pdf "}, {"file": "shot.png"}, {"id": "manual.pdf#0002"}]
    path = _ask(tmp_path / "q.jsonl", enumerate([*good, *(row for row, _ in WRONG)], 1))
    report = run_ingest(manual, out=tmp_path / "out", queries=path)
    judged = CanonicalDataset(str(tmp_path / "out")).judgements()
    found = sorted(page for pages in judged.values() for page in pages)
    assert found == ["manual.pdf#0002", "shot.png", "sub/A Letter.pdf#0001"]
    assert [item.name for item in report.bad_queries] == [
        f"{path}, line {number}" for number in range(4, 4 + len(WRONG))
    ]
    for (_, words), item in zip(WRONG, report.bad_queries, strict=True):
        assert words in item.reason
    assert not any("other.pdf;" in item.reason for item in report.bad_queries)
    assert f"warning: {len(WRONG)} of {len(WRONG) + 3} questions are not used:" in report.lines()
    assert report.lines()[-1].startswith(f"  {path}, line {3 + len(WRONG)}: ")


def test_the_line_is_that_on_which_a_row_begins(tmp_path):
    """The number of a record, which no editor shows: questions have line breaks and blank lines."""
    (tmp_path / "q.csv").write_bytes(
        b'query,file\r\n"two\nlines",p.png\r\n\r\nlost,x.png\r\n,p.png\r\n'
    )
    read = read_questions(
        str(tmp_path / "q.csv"), PageNames([WrittenPage("p.png", "p.png", 1, "")])
    )
    assert [query.text for query in read.queries] == ["two\nlines"]
    assert [item.name for item in read.bad] == [f"{tmp_path}/q.csv, line {n}" for n in (5, 6)]


@pytest.mark.parametrize(
    ("row", "is_drawn"),
    [
        ({"file": "manul.pdf", "page": 1}, False),
        ({"file": "manual.pdf", "page": 3}, True),
        ({"file": "manual.pdf", "page": 1, "score": 0}, False),
    ],
)
def test_no_usable_question_is_an_error_and_nothing_is_put_in(manual, tmp_path, row, is_drawn):
    """Exit code 0 with 0 questions left, after hours of drawing; the good ones of before gone."""
    out, path = tmp_path / "out", _ask(tmp_path / "q.jsonl", [(1, row)])
    with pytest.raises(DatasetError, match=r"q\.jsonl: not one of its rows can be used: .*again$"):
        run_ingest(manual, out=out, queries=path)
    assert not (out / "dataset.json").exists()
    assert (out / "corpus").exists() == is_drawn
    _ask(tmp_path / "q.jsonl", [(1, {"file": "manual.pdf", "page": 1})])
    assert run_ingest(manual, out=out, queries=path).queries == 1
    _ask(tmp_path / "q.jsonl", [(1, row)])
    for replace in (False, True):
        with pytest.raises(DatasetError, match="not one of its rows can be used"):
            run_ingest(manual, out=out, queries=path, replace=replace)
        judged = CanonicalDataset(str(out)).judgements()
        assert [list(pages) for pages in judged.values()] == [["manual.pdf#0001"]]


def test_many_unknown_names_in_a_large_folder_take_no_minutes(monkeypatch):
    """A search for similar names that compares 20,000 files with each of 20,000 wrong ones."""
    compared = []
    compare = difflib.get_close_matches
    monkeypatch.setattr(
        "difflib.get_close_matches",
        lambda name, names, *rest: compared.append(len(names)) or compare(name, names, *rest),
    )
    alike = AlikeNames([f"page-{number:05d}.png" for number in range(20_000)])
    assert alike.of("page-0001.png") != []
    assert not any(alike.of(f"scan {number}.png") for number in range(20_000))
    assert 20_000 < sum(compared) <= 50_000
    assert alike.of("PAGE-00017.jpg") == ["page-00017.png"]
