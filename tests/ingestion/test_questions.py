"""Queries files: every row finds its page, or has a reason."""

import json

import pytest

from colintern.data.canonical import CanonicalDataset
from colintern.errors import DatasetError
from colintern.ingestion.part_file import WrittenPage
from colintern.ingestion.questions import read_questions
from tests.helpers import png
from tests.ingestion.helpers import pdf, run_ingest

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
    reasons = [(item.name.split(" of ")[0], item.reason) for item in report.bad_queries]
    assert [name for name, _ in reasons] == ["query 4", "query 5", "query 6"]
    for words, (_, reason) in zip(("empty", "100,000 characters", "page 9"), reasons, strict=True):
        assert words in reason


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
    queries, judgements, bad = read_questions(str(tmp_path / name), [page])
    assert [query.text for query in queries] == ["what"]
    assert ([found.page_id for found in judgements], bad) == (["p.png"], [])


COMPOSED, APART = "gr\u00f6\u00dfe.pdf", "gro\u0308\u00dfe.pdf"


@pytest.mark.parametrize("stored", [COMPOSED, APART])
@pytest.mark.parametrize("asked", [COMPOSED, APART])
def test_names_are_equal_however_a_system_writes_them(tmp_path, stored, asked):
    """All questions on files with an umlaut lost, as the queries were written on another system."""
    pages = [WrittenPage(f"{stored}#{n:04d}", stored, n, "") for n in (1, 2)]
    rows = [{"query": "a", "file": asked, "page": 2}, {"query": "b", "id": f"{asked}#0001"}]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    queries, judgements, bad = read_questions(str(tmp_path / "q.jsonl"), pages)
    texts = {query.query_id: query.text for query in queries}
    assert {texts[found.query_id]: found.page_id for found in judgements} == {
        "a": f"{stored}#0002",
        "b": f"{stored}#0001",
    }
    assert bad == []


def test_of_two_names_that_look_alike_the_exact_one_is_meant(tmp_path):
    """A question on the other of two files, or on whichever comes first."""
    pages = [WrittenPage(name, name, 1, name) for name in (COMPOSED, APART)]
    mixed = "o\u0308\u00f6.pdf"
    pages += [
        WrittenPage(name, name, 1, name) for name in ("\u00f6\u00f6.pdf", "o\u0308o\u0308.pdf")
    ]
    rows = [{"query": name, "file": name} for name in (COMPOSED, APART, mixed)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, judgements, bad = read_questions(str(tmp_path / "q.jsonl"), pages)
    # The texts are equal after NFC, so both judge for one query.
    assert {found.page_id for found in judgements} == {COMPOSED, APART}
    assert [found.reason for found in bad] == [f"its page is not in the dataset: {mixed}, page 1"]


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
    found = [read_questions(str(tmp_path / name), [page]) for name in ("q.jsonl", "q.csv")]
    assert not any(queries for queries, _, _ in found)
    assert [item.reason for _, _, bad in found for item in bad] == [
        "its page is not in the dataset: p.png, page 0",
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
