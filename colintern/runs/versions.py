"""Which code made a result: recorded with every run, never compared."""

import contextlib
import os
import platform
import subprocess
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from colintern import __version__

FAISS = ("faiss-cpu", "faiss-gpu")  # one of them, or none
MEASURING = ("torch", "transformers", "numpy", "pytrec-eval-terrier")  # what metrics depend on
_PACKAGES = (
    "torch",
    "transformers",
    "ray",
    "pyarrow",
    *FAISS,
    "deepspeed",
    "late-interaction-kernels",
)
_GIT_SECONDS = 10
_GIT_OVERRIDES = ("GIT_DIR", "GIT_WORK_TREE")


def versions(packages: Sequence[str] = _PACKAGES) -> dict[str, str]:
    """Python, ColIntern and those of some packages, on which results depend, that are there."""
    found = {"python": platform.python_version(), "colintern": __version__}
    for package in packages:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = _version(package)
    return found


_version = cache(version)  # which parses a file of the package, for every stage of a run


def commit() -> str | None:
    """The commit of the source tree that runs; None where it cannot be told, or there is none.

    A package that was installed into a folder of some other repository has no commit of its own.
    """
    package = Path(__file__).parent
    found = _git(package, "rev-parse", "--show-toplevel", "HEAD")
    if found is None or not _is_source_tree(Path(os.fsdecode(found[0])), package):
        return None
    return found[1].decode()


def _git(folder: Path, *arguments: str) -> list[bytes] | None:
    """The lines that git answers; None where it refuses, is not there, or takes too long."""
    # Set by git for its hooks, and then of their repository.
    environment = {name: value for name, value in os.environ.items() if name not in _GIT_OVERRIDES}
    try:
        found = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if found.returncode else found.stdout.splitlines()


def _is_source_tree(root: Path, package: Path) -> bool:
    """Whether the repository at `root` is ColIntern's: its own project, with `package` in it."""
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text())["project"]["name"]
        return project == package.name and (root / package.name).samefile(package)
    except (OSError, ValueError, KeyError, TypeError):
        return False
