"""Which code made a result: never a wrong answer, never an error."""

import os
import subprocess
from pathlib import Path

import pytest

from colintern.runs import versions

_AS_SOMEBODY = ("-c", "user.name=a", "-c", "user.email=a@b")
_PROJECT = '[project]\nname = "colintern"\n'


def _repository(folder: Path, message: str = "one") -> str:
    """A repository with one commit; returns that."""
    folder.mkdir(parents=True)
    commit = [*_AS_SOMEBODY, "commit", "-q", "--allow-empty", "-m", message]
    for command in (["init", "-q"], commit):
        subprocess.run(["git", "-C", folder, *command], check=True)
    return _head(folder)


def _head(folder: Path) -> str:
    found = subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], capture_output=True)
    return found.stdout.decode().strip()


def _install(monkeypatch, package: Path) -> None:
    package.mkdir(parents=True)
    monkeypatch.setattr(versions, "__file__", str(package / "versions.py"))


def test_the_commit_of_the_source_tree(tmp_path, monkeypatch):
    """No commit where there is one; also in a folder whose name needs quoting."""
    expected = _repository(tmp_path / "a b ü")
    _install(monkeypatch, tmp_path / "a b ü" / "colintern")
    (tmp_path / "a b ü" / "pyproject.toml").write_text(_PROJECT)
    assert versions.commit() == expected


@pytest.mark.parametrize(
    ("package", "project"),
    [
        (".venv/lib/python3.11/site-packages/colintern", '[project]\nname = "theirs"\n'),
        (".venv/lib/python3.11/site-packages/colintern", None),
        ("site-packages/colintern", _PROJECT),
        ("colintern", '[project]\nname = "theirs"\n'),  # copied into their own project
        ("colintern", "[tool.ruff]\n"),
        ("colintern", "not = [toml"),
        ("colintern", None),
    ],
)
def test_another_repository_s_commit_is_not_ours(tmp_path, monkeypatch, package, project):
    """A run that records the commit of the user's own project as ColIntern's."""
    _repository(tmp_path / "theirs")
    if project:
        (tmp_path / "theirs" / "pyproject.toml").write_text(project)
    _install(monkeypatch, tmp_path / "theirs" / package)
    assert versions.commit() is None


def test_a_hook_s_repository_is_not_ours(tmp_path, monkeypatch):
    """A run that is started from a git hook records the hook's repository."""
    theirs = _repository(tmp_path / "theirs", "another")
    expected = _repository(tmp_path / "ours")
    assert theirs != expected
    _install(monkeypatch, tmp_path / "ours" / "colintern")
    (tmp_path / "ours" / "pyproject.toml").write_text(_PROJECT)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "theirs" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "ours"))
    assert versions.commit() == expected


@pytest.mark.parametrize("how", ["slow", "missing", "no commit", "no repository"])
def test_a_git_that_does_not_answer_ends_no_run(tmp_path, monkeypatch, how):
    """A traceback at the start of a run; the word HEAD recorded as a commit."""

    def fail(command, **settings):
        if how == "slow":
            raise subprocess.TimeoutExpired(command, settings["timeout"])
        raise FileNotFoundError("git")

    root = tmp_path / "root"
    _install(monkeypatch, root / "colintern")
    (root / "pyproject.toml").write_text(_PROJECT)
    if how == "no commit":
        subprocess.run(["git", "-C", root, "init", "-q"], check=True)
    if how in ("slow", "missing"):
        monkeypatch.setattr(subprocess, "run", fail)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", os.fspath(tmp_path))
    assert versions.commit() is None
