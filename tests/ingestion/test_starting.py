"""From a folder of files to a run: `colintern init`, and what an ingest says comes next."""

import shlex
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from colintern.cli import app
from colintern.config.files import load_config
from colintern.config.schema import Config
from colintern.data.canonical import CanonicalDataset
from colintern.data.resolve import find_source, with_datasets
from colintern.errors import ColInternError, ConfigError, DatasetError
from colintern.ingestion import RenderSettings
from colintern.ingestion.starting import next_steps, start
from tests.helpers import make_corpus, png
from tests.ingestion.helpers import pages_in, pdf, run_ingest
from tests.ingestion.pdfs import one_page, written

LINES = "Cleaning Your Kettle", "rinse the kettle with vinegar and lemons, because dust collects."


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A folder with a PDF and a picture, its name such that a shell needs quotes."""
    monkeypatch.chdir(tmp_path)
    (folder := tmp_path / "my scans: 1").mkdir()
    pdf(folder / "doc.pdf", 1, 2)
    (folder / "a.png").write_bytes(png(3))
    (folder / "notes.txt").write_text("no page")
    (tmp_path / "q.csv").write_text("query,file,page\nfirst?,doc.pdf,1\nsecond?,doc.pdf,2\n")
    return folder


def _run(command: str) -> None:
    """A command as `init` says it, up to the run itself, which the caller loads."""
    name, *arguments = shlex.split(command)
    assert name == "colintern"
    app(arguments, standalone_mode=False)


def _trained_on(config: Config) -> CanonicalDataset:
    return CanonicalDataset(find_source(config.data.train, "made").folder)


def test_what_init_says_leads_from_a_folder_to_a_run(source, capsys):
    """Commands that do not fit the file, or a file that `run` refuses."""
    found = start([source.name], "my first.yaml", "q.csv", use_gpu=True)
    assert found.lines()[0] == "1 PDF and 1 picture; of other kinds: 1 .txt"
    ingest_first, then = found.commands
    _run(ingest_first)
    assert "next: colintern init --source data/my-first" in capsys.readouterr().out
    *run, path = shlex.split(then)
    assert run == ["colintern", "run", "--config"]
    config = load_config(path)
    assert (config.run.name, config.cluster.use_gpu) == ("my-first", True)
    dataset = _trained_on(config)
    dataset.check()
    assert [query.text for query in dataset.queries()] == ["first?", "second?"]


def test_a_dataset_is_taken_as_it_stands(source, tmp_path):
    """An ingest of a dataset into another one; questions that are asked for and are there."""
    run_ingest(source, out=tmp_path / "set", queries="q.csv")
    found = start(["set"], "own.yaml")
    assert found.commands == ["colintern run --config own.yaml"]
    assert found.questions == "there"
    assert len(_trained_on(load_config("own.yaml")).queries()) == 2
    make_corpus(tmp_path / "published", num_pages=2, num_queries=2)
    with pytest.raises(DatasetError, match="published: is a dataset, whose questions are its own"):
        start(["published"], "other.yaml", "q.csv")
    with pytest.raises(DatasetError, match="published: is itself a dataset; name it alone"):
        start([source.name, "published"], "other.yaml")
    assert not (tmp_path / "other.yaml").exists()


def test_pages_without_questions_are_told_with_the_remedy(source, tmp_path):
    """Hours of drawing for a dataset of which the run says that its `qrels` lack a score."""
    (source / "doc.pdf").rename(source.parent / "doc.pdf")  # pictures have no text to draft from
    found = start([source.name], "own.yaml")
    assert found.questions == "to write"
    (source.parent / "doc.pdf").rename(source / "doc.pdf")
    assert any("questions.csv: a CSV file with the columns" in line for line in found.lines())
    report = run_ingest(source, out=tmp_path / "set")
    said = next_steps(report, "set")
    assert said[0] == "most pages of PDFs have no text; reader-print hardly reads scans"
    assert "query,file,page" in said[1]
    assert len(said) == 3  # there is no text to draft questions from
    folder = str(tmp_path / "set")
    for use in (CanonicalDataset(folder).check, lambda: start([folder], "other.yaml")):
        with pytest.raises(DatasetError, match=r"set: has no questions.*query,file,page") as caught:
            use()
        assert str(caught.value).endswith(
            f"that answers it, and run: colintern ingest --out {folder} --queries questions.csv"
        )
    (tmp_path / "q.csv").rename(tmp_path / "questions.csv")
    _run(said[-1].strip())
    CanonicalDataset(folder).check()
    (tmp_path / "questions.csv").rename(tmp_path / "q.csv")
    asking = start(["set"], "third.yaml", "q.csv").commands[0]
    assert asking.endswith(" --out set --queries q.csv")


def test_pages_stay_drawn_as_they_are(source, tmp_path):
    """A pasted command that draws a thousand pages anew, smaller, to add ten questions."""
    run_ingest(source, out=tmp_path / "set", render=RenderSettings(100, 500_000))
    before = pages_in(tmp_path / "set")
    _run(start(["set"], "c.yaml", "q.csv").commands[0])
    assert len(CanonicalDataset(str(tmp_path / "set")).queries()) == 2
    assert pages_in(tmp_path / "set") == before


def test_pages_with_text_are_told_of_drafted_questions(tmp_path, monkeypatch):
    """A folder of PDFs that ends at a file of questions that nobody has."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    lines = (f"BT /F1 9 Tf 9 {80 - 20 * n} Td ({line}) Tj ET" for n, line in enumerate(LINES))
    (tmp_path / "in" / "a.pdf").write_bytes(written(*one_page(" ".join(lines), box="0 0 400 99")))
    said = next_steps(run_ingest(tmp_path / "in", out=tmp_path / "set"), "set")
    assert said[1].startswith("  colintern questions set --out questions.csv ")
    with pytest.raises(DatasetError, match=r"or have it drafted .*--out questions.csv\)"):
        CanonicalDataset("set").check()
    found = start(["in"], "c.yaml")
    assert found.lines()[-5:] == [
        "next:",
        "  colintern ingest in --out data/c",
        "  colintern questions data/c --out questions.csv",
        "  colintern ingest --out data/c --queries questions.csv",
        "  colintern run --config c.yaml",
    ]
    header = (tmp_path / "c.yaml").read_text().splitlines()[1:5]
    assert header == [f"#   {command}" for command in found.commands]
    for command in found.commands[:-1]:
        _run(command)
    CanonicalDataset("data/c").check()


def test_a_file_of_questions_that_is_there_is_taken(source, tmp_path):
    """Drafting into the file that somebody has written: refused, with advice that would lose it."""
    (tmp_path / "q.csv").rename(tmp_path / "questions.csv")
    found = start([source.name], "c.yaml")
    assert found.questions == "there"
    assert found.commands[0].endswith("--out data/c --queries questions.csv")
    _run(found.commands[0])
    assert len(_trained_on(load_config("c.yaml")).queries()) == 2


def test_one_split_of_a_dataset_is_trained_on(source, tmp_path):
    """A published set that `init` refuses with lines for a file that is not there yet."""
    (tmp_path / "set").mkdir()
    for number, name in enumerate(("train", "test")):
        row = {"query": name, "image": {"bytes": png(number), "path": None}}
        pq.write_table(pa.Table.from_pylist([row]), tmp_path / "set" / f"{name}-00000.parquet")
    with pytest.raises(DatasetError, match=r"several splits.* or --split test of init and ingest"):
        start(["set"], "c.yaml")
    assert start(["set"], "c.yaml", split="train").commands == ["colintern run --config c.yaml"]
    config = load_config("c.yaml")
    assert config.data.train.split == "train"
    train = CanonicalDataset(with_datasets(config).data.train.path)
    assert [query.text for query in train.queries()] == ["train"]
    with pytest.raises(ConfigError, match=r"--config: my scans: 1 is no dataset; leave it out"):
        start([source.name], "other.yaml", configuration="a")


@pytest.mark.parametrize(
    ("sources", "out", "questions", "words"),
    [
        (["my scans: 1"], "there.yaml", None, r"--out there\.yaml: is there already"),
        (["gone"], "c.yaml", None, "gone: no such file or folder"),
        (["nothing"], "c.yaml", None, "contains no PDF and no picture"),
        (["my scans: 1"], "c.yaml", "gone.csv", r"gone\.csv"),
        (["my scans: 1"], "a\nb.yaml", None, "the control character"),
    ],
)
def test_what_cannot_be_begun_writes_nothing(source, tmp_path, sources, out, questions, words):
    """Settings of weeks written over; a file for sources that are not there."""
    (tmp_path / "there.yaml").write_text("mine: yes")
    (tmp_path / "nothing").mkdir()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ColInternError, match=words) as caught:
        start(sources, out, questions)
    assert caught.value.exit_code == ConfigError.exit_code == 2
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.yaml").read_text() == "mine: yes"


def test_a_file_is_written_before_torch_is_there(source):
    """Seconds of imports for a file of thirty lines."""
    program = (
        "import sys\nfrom colintern.cli import app\n"
        f"app(['init', '--source', {source.name!r}, '--out', 'c.yaml'], standalone_mode=False)\n"
        "print([name for name in ('torch', 'ray', 'transformers') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
    assert load_config("c.yaml").run.name == "c"
