"""Paths and URLs, and the file systems that they are read with.

Paths are strings, local (`runs/demo`) or URLs (`s3://bucket/runs/demo`); every function of the
package takes both. Names may hold anything: '::' is a part of a name here,
though fsspec would read it as a chain of URLs, and two slashes are two.
"""

import posixpath
from pathlib import Path
from typing import Any

import fsspec

from colintern.storage import object_store


def is_local(path: str) -> bool:
    """Whether `path` is on this machine's file system."""
    return "://" not in path or path.startswith("file://")


def local_path(path: str) -> Path:
    """`path` without its `file://`, as a `pathlib.Path`; only for local paths."""
    assert is_local(path), path
    return Path(path.removeprefix("file://"))


def absolute(path: str) -> str:
    """`path` made independent of the working folder, as Ray workers have another one."""
    return str(local_path(path).expanduser().absolute()) if is_local(path) else path.rstrip("/")


def real(path: str) -> str:
    """`path` without links and '..', or a URL as it is: equal paths mean one file or folder."""
    return str(Path(absolute(path)).resolve()) if is_local(path) else path.rstrip("/")


def is_relative(path: str) -> bool:
    """Whether `path` depends on the working folder."""
    return is_local(path) and not local_path(path).expanduser().is_absolute()


def join(root: str, *parts: str) -> str:
    """Join `parts` under `root` with slashes."""
    return posixpath.join(root, *parts)


def inside(path: str, root: str) -> str | None:
    """The part of `path` below `root`; None where it does not stand below. Both are absolute."""
    start = f"{root.rstrip('/')}/"
    return path.removeprefix(start) if path.startswith(start) else None


def file_system_of(path: str) -> tuple[Any, str]:
    """The fsspec file system that `path` is read with here, and the path inside it.

    For libraries that would open one of their own, with other credentials or another address. Its
    memory of listings is kept.
    """
    if is_local(path):
        return fsspec.filesystem("file"), str(local_path(path).absolute())
    return object_store.opened(path)


def fresh_file_system_of(path: str) -> tuple[Any, str]:
    """As `file_system_of`, without its memory of listings, as other processes write too.

    On the Hub, where a commit never changes, the memory is kept.
    """
    file_system, inner = file_system_of(path)
    if not path.startswith("hf://"):
        file_system.invalidate_cache()
    return file_system, inner
