"""What is taken, what is refused, what is skipped; a stray file never decides for the others."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from colintern.errors import DatasetError
from colintern.ingestion import IngestSettings, RenderSettings, ingest
from colintern.ingestion.findings import BadItem
from colintern.ingestion.rendering import render
from colintern.ingestion.sources import SourceFile, find_sources
from tests.helpers import make_corpus, png


@pytest.fixture
def source(tmp_path) -> Path:
    """A folder with one picture."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.png").write_bytes(png(1))
    return folder


def test_files_of_other_kinds_are_counted(source):
    """A folder of Word files that gives an empty dataset without a word."""
    (source / "sub").mkdir()
    for name in ("README.txt", "a.docx", "sub/b.DOCX", ".DS_Store", "Makefile"):
        (source / name).write_text("no page")
    report = ingest([str(source)], str(source.parent / "out"), IngestSettings())
    assert report.skipped == {".docx": 2, ".DS_Store": 1, ".txt": 1, "without an ending": 1}
    assert (
        "5 files of other kinds skipped: 2 .docx, 1 .DS_Store, 1 .txt, 1 without an ending"
        in report.lines()
    )
    (source / "a.png").unlink()
    with pytest.raises(DatasetError, match=r"contains no PDF and no picture, only 2 \.docx"):
        ingest([str(source)], str(source.parent / "out"), IngestSettings())


def test_what_is_hidden_is_no_page(source):
    """MacOS's `._a.pdf` refused as damaged, and thumbnails of pages that become pages."""
    hidden = ("._a.png", ".thumbnails/a.png", "sub/.trash/deep/b.png", "__MACOSX/._a.png")
    for name in (*hidden, "_b.png", "_old/c.png"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(png(2))
    (source / ".link").symlink_to(source / "_old")
    found = find_sources([str(source)])
    assert [file.name for file in found.files] == ["_b.png", "_old/c.png", "a.png"]
    assert (found.bad, found.skipped) == ([], {"hidden": 4, ".link": 1})


def test_what_is_asked_for_is_not_hidden(source):
    """A folder or file that is named on the command line and then found to be empty."""
    folder = source.rename(source.with_name(".scans"))
    (folder / "note.txt").touch()
    (folder / ".b.png").write_bytes(png(2))
    for paths, names in (
        ([folder], ["a.png"]),
        ([folder / ".b.png"], [".b.png"]),
        ([folder, folder / ".b.png"], [".b.png", ".scans/a.png"]),
    ):
        found = find_sources([str(path) for path in paths])
        assert [file.name for file in found.files] == names
    assert found.skipped == {".txt": 1, "hidden": 1}


@pytest.mark.parametrize("data", [b"no parquet", None])
def test_a_stray_parquet_file_makes_no_dataset(source, data):
    """A hundred PDFs left out because of a table beside them; readable as a dataset or not."""
    make_corpus(source.parent / "set", num_pages=1, num_queries=1)
    other = source.parent / "set" / "corpus" / "part-00000.parquet"
    (source / "export.parquet").write_bytes(data or other.read_bytes())
    report = ingest([str(source)], str(source.parent / "out"), IngestSettings())
    assert (report.pages, report.skipped) == (1, {".parquet": 1})


def test_a_dataset_stays_one_beside_pictures(source):
    """The picture of a dataset's card taken for its only page."""
    make_corpus(source, num_pages=3, num_queries=3)
    report = ingest([str(source)], str(source.parent / "out"), IngestSettings())
    assert (report.pages, report.skipped) == (3, {".png": 1})


def test_what_is_no_file_is_refused_and_holds_nothing_up(source):
    """An ingest that waits for ever at a named pipe, or ends at a link to nothing."""
    os.mkfifo(source / "pipe.png")
    os.mkfifo(source / "pipe")
    (source / "gone.pdf").symlink_to(source / "nowhere.pdf")
    (source / "folder.png").mkdir()
    (source / "folder.png" / "b.png").write_bytes(png(2))
    report = ingest([str(source)], str(source.parent / "out"), IngestSettings())
    assert {item.name: item.reason for item in report.bad} == {
        "gone.pdf": "a link to nothing",
        "pipe.png": "neither a file nor a folder",
    }
    assert report.pages == 2


def test_a_name_that_cannot_be_an_id_is_refused(tmp_path):
    """A dataset that its own reader refuses, for the name of one picture."""
    for name in ("a.png", "b\n.png", "c\x7f.pdf", "d\n.txt"):
        (tmp_path / name).write_bytes(png(1))
    found = find_sources([str(tmp_path)])
    assert [file.name for file in found.files] == ["a.png"]
    assert sorted(item.line() for item in found.bad) == [
        "b\\n.png: its name has the control character \\n: rename it",
        "c\\x7f.pdf: its name has the control character \\x7f: rename it",
    ]


@contextmanager
def _without_rights() -> Iterator[Path]:
    """A folder that anybody may read, while we are nobody in particular."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        user = os.geteuid()
        try:
            yield Path(name)
        finally:
            os.seteuid(user)
            for path in Path(name).rglob("*"):
                path.chmod(0o755)


def test_what_may_not_be_read_is_refused_and_the_rest_goes_on():
    """A sub-folder that is left out in silence, or a traceback at the first closed file."""
    with _without_rights() as folder:
        (folder / "closed").mkdir()
        (folder / "closed" / "inside.png").write_bytes(png(1))
        for name in ("closed.png", "closed.pdf", "closed.tif", "open.png"):
            (folder / name).write_bytes(png(1))
        for name in ("closed", "closed.png", "closed.pdf", "closed.tif"):
            (folder / name).chmod(0)
        if os.geteuid() == 0:
            os.seteuid(65_534)  # nobody: root may read everything
        found = find_sources([str(folder)])
        assert found.bad == [BadItem("closed", None, "cannot be read (Permission denied)")]
        drawn = {file.name: list(render(file, 0, 1, RenderSettings())) for file in found.files}
    for name in ("closed.png", "closed.pdf", "closed.tif"):
        (item,) = drawn[name]
        assert isinstance(item, BadItem), name
        assert "denied" in item.reason, item
    assert not isinstance(drawn["open.png"][0], BadItem)


def test_a_file_that_turns_into_something_else_is_refused(tmp_path):
    """An error of the operating system that nobody thought of."""
    file = SourceFile(str(tmp_path), "a.png", "picture", "1")
    assert list(render(file, 0, 1, RenderSettings())) == [
        BadItem("a.png", None, "cannot be read (Is a directory)")
    ]
