"""Which code made a result: recorded with every run, never compared."""

import contextlib
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from colintern import __version__

_PACKAGES = (
    "torch",
    "transformers",
    "ray",
    "pyarrow",
    "faiss-cpu",
    "faiss-gpu",
    "deepspeed",
    "late-interaction-kernels",
)


def versions() -> dict[str, str]:
    """Python, ColIntern and the packages that results depend on."""
    found = {"python": platform.python_version(), "colintern": __version__}
    for package in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def commit() -> str | None:
    """The commit of the source tree that runs, if it is one."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return None
    return found.stdout.strip() or None
