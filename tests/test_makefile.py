"""`make setup` before anything is installed: which Python, and a .venv that is broken."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def _setup(folder: Path, python: str) -> str:
    """What a failing `make setup` says."""
    command = ["make", "setup", f"PYTHON={python}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 2
    return done.stdout + done.stderr


def _script(path: Path, lines: str) -> str:
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)
    return str(path)


def test_an_old_python_is_refused_before_anything_is_made(folder):
    """An hour of pip, or its error about `requires-python`, under Python 3.10."""
    old = _script(folder / "old", 'case "$1" in -V) echo Python 3.10.13;; *) exit 1;; esac')
    assert "make needs Python 3.11 or newer" in (said := _setup(folder, old))
    assert "is Python 3.10.13" in said
    assert not (folder / ".venv").exists()


def test_a_broken_venv_is_made_again(folder):
    """A .venv whose Python is gone, ready by its mark: every target fails, until it is removed."""
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").symlink_to("/no/such/python")
    (folder / ".venv" / ".ready").touch()
    python = _script(folder / "new", 'case "$*" in *venv*) echo "made: $*"; exit 1;; esac')
    assert "made: -m venv --clear .venv" in _setup(folder, python)
    assert not (folder / ".venv" / ".ready").exists()
