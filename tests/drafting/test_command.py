"""`colintern questions`, from PDFs to a dataset that can be trained on."""

import csv
import json
import shlex
import shutil
from pathlib import Path

import pytest

from colintern import storage
from colintern.cli import app
from colintern.data.canonical import CanonicalDataset
from colintern.data.drafted import mark
from colintern.errors import DatasetError, UserError
from colintern.ingestion.pool import Processes
from tests.helpers import make_corpus, run_main
from tests.ingestion.helpers import pdf, run_ingest
from tests.ingestion.pdfs import one_page, written

THINGS = {"kettle": "vinegar", "toaster": "brushes", "freezer": "lemons"}


def _manual(path: Path, thing: str) -> None:
    lines = (
        f"Cleaning Your {thing.title()}",
        f"before first use, rinse the {thing} with water and {THINGS[thing]} twice, because dust",
        "collects in every new appliance of this kind before it is sold.",
    )
    text = " ".join(
        f"BT /F1 10 Tf 10 {80 - 14 * n} Td ({line}) Tj ET" for n, line in enumerate(lines)
    )
    path.write_bytes(written(*one_page(text, box="0 0 400 100")))


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    """No worker processes, and relative paths as people type them."""
    monkeypatch.setattr(Processes, "each", lambda _, do, work, __: ((one, do(one)) for one in work))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def manuals(tmp_path) -> Path:
    (folder := tmp_path / "manuals").mkdir()
    for thing in THINGS:
        _manual(folder / f"{thing}.pdf", thing)
    pdf(folder / "scan.pdf", 1)
    run_ingest(folder, out=tmp_path / "data set")
    return folder


def _run(monkeypatch, capsys, *arguments: str) -> list[str]:
    code, out, _ = run_main(monkeypatch, capsys, *arguments)
    assert code == 0
    return [line for line in out.splitlines() if line.startswith(("wrote", "next:"))]


def _rows(path: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(path).read_text().splitlines()))


def _draft(monkeypatch, capsys, *options: str) -> list[str]:
    return _run(monkeypatch, capsys, "questions", "data set", "--out", "q.csv", *options)


def test_pdfs_alone_become_a_dataset_to_train_on(manuals, monkeypatch, capsys):
    """A file that ingest refuses, a line that cannot be pasted, drafts that look like people's."""
    said = _draft(monkeypatch, capsys, "--seed", "3")
    assert said == [
        "wrote q.csv: 6 questions about 3 of 4 pages (3 headings, 3 sentences); no text layer in 1 "
        "of 4 pages",
        "next: colintern ingest --out 'data set' --queries q.csv",
    ]
    assert {
        "query": "Cleaning Your Toaster",
        "id": "toaster.pdf#0001",
        "drafted_from": mark("heading", "Cleaning Your Toaster"),
    } in (_rows("q.csv"))
    shutil.rmtree(manuals)  # the pages are in the dataset
    name, *arguments = shlex.split(said[1].removeprefix("next: "))
    assert name == "colintern"
    app(arguments, standalone_mode=False)
    dataset = CanonicalDataset("data set")
    dataset.check()
    judged = dataset.judgements()
    found = {
        query.text: (query.source, sorted(judged[query.query_id])) for query in dataset.queries()
    }
    assert found == {
        row["query"]: (f"drafted from {row['drafted_from'].split()[0]}", [row["id"]])
        for row in _rows("q.csv")
    }
    assert dataset.asked.num_drafted == len(dataset.asked) == 6
    before = Path("q.csv").read_bytes()
    _draft(monkeypatch, capsys, "--seed", "3")  # drafts that are in the dataset change nothing
    assert Path("q.csv").read_bytes() == before
    said = _draft(monkeypatch, capsys, "--per-page", "1")
    assert said[0].endswith("; 3 of those drafted before will go")
    assert said[1].endswith(" --queries q.csv --replace")
    app(shlex.split(said[1])[2:], standalone_mode=False)
    assert len(CanonicalDataset("data set").asked) == 3


def test_a_draft_that_somebody_writes_anew_is_theirs(manuals, monkeypatch, capsys):
    """Corrections that count as drafted, and that the next drafting throws away."""
    _draft(monkeypatch, capsys)
    drafted, corrected = "Cleaning Your Toaster", "how do I clean a toaster?"
    path = Path("q.csv")
    path.write_text(path.read_text().replace(drafted, corrected))
    _run(monkeypatch, capsys, "ingest", "--out", "data set", "--queries", "q.csv")
    dataset = CanonicalDataset("data set")
    assert [query.text for query in dataset.queries() if not query.is_drafted] == [corrected]
    said = _draft(monkeypatch, capsys, "--replace")
    assert said[0].endswith(", beside 1 of its own")
    assert {corrected, drafted} < {row["query"] for row in _rows("q.csv")}


def test_questions_of_people_stay(manuals, monkeypatch, capsys):
    """A pasted line that is refused, as the questions of people would go; or that loses them."""
    Path("own.csv").write_text(
        "query,id,score,language,source\nhow to descale?,kettle.pdf#0001,2,en,Ann\n"
        "how to descale?,toaster.pdf#0001,1,en,Ann\ncleaning your FREEZER,freezer.pdf#0001,1,,\n"
    )
    app(["ingest", "--out", "data set", "--queries", "own.csv"], standalone_mode=False)
    before = CanonicalDataset("data set")
    judged = {name: dict(found) for name, found in before.judgements().items()}
    capsys.readouterr()
    said = _draft(monkeypatch, capsys)
    assert "wrote q.csv: 5 questions" in said[0]
    assert said[0].endswith(", beside 2 of its own")
    app(["ingest", "--out", "data set", "--queries", "q.csv"], standalone_mode=False)
    after = CanonicalDataset("data set")
    assert (len(after.asked), after.asked.num_drafted) == (7, 5)
    assert {query for query in after.queries() if not query.is_drafted} == set(before.queries())
    assert {name: dict(after.judgements()[name]) for name in judged} == judged


def test_what_people_have_edited_is_not_written_over(manuals, monkeypatch, capsys):
    """An hour of corrections gone by the same command again."""
    _draft(monkeypatch, capsys)
    first = Path("q.csv").read_bytes()
    _draft(monkeypatch, capsys, "--per-page", "1")  # nobody has touched it
    assert len(_rows("q.csv")) == 3
    shutil.copytree("data set", "other")
    for edit, words in (
        (lambda: None, "is of another dataset, .*data set"),
        (lambda: Path("q.csv").write_text("query,id\nmine,kettle.pdf#0001\n"), "has been edited"),
        (lambda: Path(".colintern-questions.json").unlink(), "was not written by `colintern quest"),
    ):
        edit()
        content = Path("q.csv").read_bytes()
        with pytest.raises(UserError, match=f"--out q.csv: is there and {words}"):
            app(["questions", "other", "--out", "q.csv"], standalone_mode=False)
        assert Path("q.csv").read_bytes() == content
    _draft(monkeypatch, capsys, "--replace")
    assert Path("q.csv").read_bytes() == first


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("scans", "--out", "q.csv"), "scans: none of its 2 pages has a text layer; let a program"),
        (("numbers", "--out", "q.csv"), "numbers: nothing in the texts of its pages can be asked"),
        (
            ("published", "--out", "q.csv"),
            "published: is not a dataset that `colintern ingest` has",
        ),
        (("gone", "--out", "q.csv"), "gone: no such dataset folder"),
        (("scans", "--out", "q.txt"), r"--out q\.txt: must end in \.csv"),
    ],
)
def test_what_cannot_be_drafted_is_told_with_the_remedy(
    tmp_path, monkeypatch, capsys, arguments, words
):
    """An empty file of questions, with which a day of encoding begins."""
    for name in ("scans", "numbers"):
        (tmp_path / "in" / name).mkdir(parents=True)
    pdf(tmp_path / "in" / "scans" / "scan.pdf", 1, 2)
    text = "BT /F1 10 Tf 10 50 Td (12.50 17 19) Tj ET"
    (tmp_path / "in" / "numbers" / "a.pdf").write_bytes(written(*one_page(text)))
    for name in ("scans", "numbers"):
        run_ingest(tmp_path / "in" / name, out=tmp_path / name)
    make_corpus(tmp_path / "published", num_pages=2, num_queries=2)
    with pytest.raises(UserError, match=words) as caught:
        app(["questions", *arguments], standalone_mode=False)
    assert caught.value.exit_code == 2
    assert not Path(arguments[-1]).exists()


def test_questions_are_brought_in_without_the_sources(manuals, monkeypatch, capsys):
    """Questions that need the PDFs again; pages drawn again; what is bad forgotten."""
    out = Path("data set")
    before = {path: path.read_bytes() for path in out.glob("corpus/*")}
    Path("q.csv").write_text("query,file,page\nrinsing?,kettle.pdf,1\n of what?,scan.pdf,7\n")
    shutil.rmtree(manuals)
    ingest = ["ingest", "--out", "data set", "--queries", "q.csv"]
    app(ingest, standalone_mode=False)
    assert "of what?" not in {query.text for query in CanonicalDataset("data set").queries()}
    assert "its page is 7, but scan.pdf has 1 page" in capsys.readouterr().out
    report = storage.read_json("data set/dataset.json")
    assert (report["pages"], report["queries"], report["without_text"]) == (4, 1, 1)
    assert {path: path.read_bytes() for path in out.glob("corpus/*")} == before
    state = {path: path.read_bytes() for path in out.rglob("*.*")}
    app(ingest, standalone_mode=False)
    assert {path: path.read_bytes() for path in out.rglob("*.*")} == state
    Path("q.csv").write_text("query,file,page\nanother?,kettle.pdf,1\n")
    with pytest.raises(DatasetError, match=r"1 questions .*go, as q\.csv does not have them"):
        app(ingest, standalone_mode=False)
    app([*ingest, "--replace"], standalone_mode=False)
    assert [query.text for query in CanonicalDataset("data set").queries()] == ["another?"]
    assert json.loads((out / "ingest.json").read_text())["sources"] == [str(manuals)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--out", "set"), "no source is named; name PDFs, images or a dataset, or give --queries"),
        (("--out", "new", "--queries", "q.csv"), "is no dataset that an ingest has finished; name"),
        (("--out", "copy", "--queries", "q.csv"), "is a copy of another dataset, whose questions"),
    ],
)
def test_an_ingest_without_sources_needs_a_dataset_and_questions(tmp_path, arguments, words):
    """A traceback over an empty list, or an empty dataset folder."""
    make_corpus(tmp_path / "published", num_pages=2, num_queries=2)
    app(["ingest", "published", "--out", "copy"], standalone_mode=False)
    Path("q.csv").write_text("query,id\nwhat?,p000\n")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DatasetError, match=words):
        app(["ingest", *arguments], standalone_mode=False)
    assert sorted(tmp_path.rglob("*")) == before
