"""What an ingest reports."""

from colintern.ingestion.findings import BadItem
from tests.helpers import png
from tests.ingestion.helpers import run_ingest


def test_equal_pages_are_told(tmp_path):
    """The same page in two files, which nobody notices until a search shows it twice."""
    for name in ("a.png", "b.png"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(png(1))
    (tmp_path / "in" / "c.png").write_bytes(png(2))
    report = run_ingest(tmp_path / "in", out=tmp_path / "out")
    assert report.pages == 3
    assert report.duplicates == [["a.png", "b.png"]]


def test_a_name_with_a_line_break_stays_in_its_line():
    """A file's name that writes lines of its own into the report, or commands the terminal."""
    line = BadItem("a\nb\x1b[2J ü.png", 3, "blank").line()
    assert line == "a\\nb\\x1b[2J ü.png, page 3: blank"
