"""`make demo-real PDFS=folder`, as a user runs it: PDFs in, a report out."""

import json
import os
import random
import subprocess
from pathlib import Path

import pytest

from tests.pretraining.printed.helpers import typed_pdf

ROOT = Path(__file__).parent.parent
WORDS = """amber anchor apron arrow basket beacon blanket bottle bridge bucket candle canyon carpet
castle cellar chimney copper cotton cradle curtain dragon engine falcon feather fiddle forest
furnace garden ginger glacier hammer harbour hazel helmet island jacket kettle ladder lantern
lemon magnet marble meadow mirror monkey napkin needle nickel orchard oyster paddle parcel pebble
pepper pigeon pillow pocket quarry rabbit ribbon saddle salmon sandal shovel silver spider stable
statue summit tailor temple thimble ticket timber tunnel turnip valley velvet violin walnut
window winter""".split()


@pytest.fixture
def folder(tmp_path) -> Path:
    """A dozen letters of their own words."""
    draw = random.Random(5)
    (letters := tmp_path / "My letters").mkdir()
    for number in range(12):
        own = WORDS[7 * number : 7 * number + 7]
        lines = tuple(
            " ".join(["The", *draw.sample(own, 4), "and", *draw.sample(WORDS, 3)]) + "."
            for _ in range(8)
        )
        typed_pdf(letters / f"letter {number}.pdf", lines)
    return letters


@pytest.mark.slow
@pytest.mark.ray
def test_a_folder_of_pdfs_alone_gives_a_report(folder, tmp_path):
    """A target that works for the five manuals only; a result that is not above chance."""
    for name in ("Makefile", "configs", ".venv", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).symlink_to(ROOT / name)
    done = _make(tmp_path, folder)
    assert done.returncode == 0, done.stdout
    (run,) = (tmp_path / "runs").glob("real-My-letters-*")
    assert "a random order" in done.stdout
    assert "bm25" in done.stdout
    assert (run / "report.html").is_file()
    measured = json.loads((run / "round-2" / "eval" / "dev.json").read_text())
    assert measured["metrics"]["ndcg_at_5"] > 2 * measured["chance"]["ndcg_at_5"]

    # The same command again: what people have corrected stays, and nothing is made anew.
    heads = run / "round-2" / "heads" / "heads.safetensors"
    made = heads.stat().st_mtime_ns
    again = _make(tmp_path, folder)
    assert again.returncode == 0, again.stdout
    assert "kept: runs/datasets/real-My-letters-" in again.stdout
    assert heads.stat().st_mtime_ns == made


def _make(place: Path, pdfs: Path) -> subprocess.CompletedProcess[str]:
    """`make demo-real`; without installing anything."""
    return subprocess.run(
        ["make", "-o", ".venv/.ready", "demo-real", f"PDFS={pdfs}"],
        cwd=place,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
