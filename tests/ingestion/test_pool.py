"""Renderers that die or never end cost the page they were at, and nothing else."""

import os
import time
from pathlib import Path

import pytest

from colintern.ingestion import RenderSettings
from colintern.ingestion.drawing import write_parts
from colintern.ingestion.part_file import read_part
from colintern.ingestion.parts import plan_parts
from colintern.ingestion.pool import CrashedError, Processes
from colintern.ingestion.sources import SourceFile
from tests.helpers import png
from tests.ingestion.workers import CrashingFile, behave

pytestmark = pytest.mark.usefixtures("worker_processes")


def test_one_that_dies_and_one_that_never_ends_cost_themselves():
    """The rest done again one by one, in a process for each, or an ingest that hangs for ever."""
    work = ["a", "crash", *"bcdefgh", "hang", *"ijklmnop"]
    with Processes(2) as processes:
        found = dict(processes.each(behave, work, seconds=2))
    crash, hang = found.pop("crash"), found.pop("hang")
    assert isinstance(crash, CrashedError)
    assert isinstance(hang, CrashedError)
    assert str(hang) == "the renderer does not finish in 2 seconds"
    assert [result[0] for result in found.values()] == list(found)  # pyright: ignore
    assert len(found) == 16
    # Two at first, and one in the place of each that died.
    assert len({result[1] for result in found.values()}) <= 4  # pyright: ignore


def test_ctrl_c_does_not_wait_for_a_page():
    """Ten minutes between Ctrl-C and the prompt, because one page takes them."""

    def interrupted() -> None:
        with Processes(1) as processes:
            next(processes.each(behave, ["a", "hang"], seconds=600))
            raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - began < 300


def test_work_is_taken_when_a_worker_is_free():
    """A stream of work that is read into memory whole before the first item is done."""
    taken: list[int] = []

    def stream():
        for number in range(20):
            taken.append(number)
            yield str(number)

    with Processes(2) as processes:
        results = processes.each(behave, stream(), seconds=60)
        next(results)
        assert len(taken) <= 4
        assert len(list(results)) == 19


def test_the_other_pages_of_a_part_that_crashes_or_hangs_are_written(tmp_path, monkeypatch):
    """Sixty-four pages lost to the one that kills its renderer, or for which it waits for ever.

    Nothing else stays in the folder: no page by itself, no half of a file.
    """
    monkeypatch.setattr("colintern.ingestion.drawing.SECONDS_PER_PART", 2)
    monkeypatch.setattr("colintern.ingestion.drawing.SECONDS_PER_PAGE", 6)
    files = []
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(png(number + 1))
        files.append(_source(tmp_path / f"{number}.png"))
    files.insert(1, CrashingFile(str(tmp_path / "crash.png"), "crash.png", "picture", "1"))
    os.mkfifo(tmp_path / "hang.png")  # opening it waits for a writer
    files.insert(3, _source(tmp_path / "hang.png"))
    corpus = str(tmp_path / "corpus")
    parts = plan_parts([(file, 1) for file in files], corpus, RenderSettings())
    with Processes(2) as processes:
        write_parts(parts, corpus, processes)
    entries, bad = read_part(parts[0].path)
    assert [entry.page_id for entry in entries] == ["0.png", "1.png", "2.png"]
    assert [item.name for item in bad] == ["crash.png", "hang.png"]
    assert "does not finish in 6 seconds" in bad[1].reason
    assert [str(path) for path in (tmp_path / "corpus").iterdir()] == [parts[0].path]


def _source(path: Path) -> SourceFile:
    return SourceFile(str(path), path.name, "picture", "1")
