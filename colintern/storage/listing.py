"""Listings, and the state of files: size, version and time, without reading them."""

import os
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from colintern.errors import PathError
from colintern.storage import local_files
from colintern.storage.errors import named_errors
from colintern.storage.paths import file_system_of, fresh_file_system_of, is_local, local_path

# What object stores call the hash, or the number, of just these bytes.
_CONTENT_TAGS = ("ETag", "etag", "md5Hash", "generation")
_TIMES = ("LastModified", "last_modified", "updated", "created")


@dataclass(frozen=True)
class FileState:
    """The state of a file, without its content.

    Attributes:
        path: its full path.
        size: in bytes.
        version: changes when the file does, as far as its state shows.
        names_content: whether equal versions mean equal bytes, as with an object's ETag.
        changed_at: seconds since 1970; None if it is unknown.
    """

    path: str
    size: int
    version: str
    names_content: bool
    changed_at: float | None


def exists(path: str) -> bool:
    """Whether there is a file or folder at `path`."""
    with named_errors(path):
        file_system, inner = fresh_file_system_of(path)
        return file_system.exists(inner)


def list_files(folder: str, suffix: str = "") -> list[str]:
    """The files right inside `folder` whose name ends in `suffix`, full paths in name order.

    A folder that does not exist has no files. Names of unfinished writes are left out.
    """
    return list(_listed(folder, suffix))


def list_states(folder: str, suffix: str = "") -> list[FileState]:
    """As `list_files`, with the state of each; one request on an object store."""
    return _still_there(_listed(folder, suffix).items())


def find_files(folder: str, suffix: str = "") -> list[str]:
    """The files in `folder` and in all folders inside it, full paths in name order.

    One listing on an object store. A folder that does not exist has no files; for a file, itself.
    """
    with named_errors(folder):
        file_system, inner = fresh_file_system_of(folder)
        try:
            found = file_system.find(inner)
        except FileNotFoundError:
            return []
    if found == [inner]:
        return [folder] if folder.endswith(suffix) else []
    prefix = inner.rstrip("/") + "/"
    names = (name.removeprefix(prefix) for name in found if name.startswith(prefix))
    return _full_paths(folder, names, suffix)


def find_states(folder: str) -> list[FileState]:
    """The state of every file in `folder` and in all folders inside it, by the order of names.

    One listing on an object store. Unfinished writes are among them, as nobody else knows them. A
    folder that does not exist has no files.
    """
    with named_errors(folder):
        if is_local(folder):
            found = _walked(folder)
        else:
            file_system, inner = fresh_file_system_of(folder)
            prefix = inner.rstrip("/") + "/"
            entries = file_system.find(inner, detail=True)
            found = [
                _state(f"{folder.rstrip('/')}/{name.removeprefix(prefix)}", entry)
                for name, entry in entries.items()
                if name.startswith(prefix) and name != prefix
            ]
    return sorted(found, key=lambda state: state.path)


def _walked(folder: str) -> list[FileState]:
    """The state of every file of a local folder that is still there after its listing."""
    top = local_path(folder)
    names = (Path(parent, name) for parent, _, files in os.walk(top) for name in files)
    paths = (f"{folder.rstrip('/')}/{name.relative_to(top).as_posix()}" for name in names)
    return _still_there((path, {}) for path in paths)


def list_folders(folder: str) -> list[str]:
    """The names of the folders right inside `folder`, in order; none if it does not exist."""
    with named_errors(folder):
        file_system, inner = fresh_file_system_of(folder)
        try:
            entries = file_system.ls(inner, detail=True)
        except FileNotFoundError:
            return []
    names = (entry["name"] for entry in entries if entry["type"] == "directory")
    found = (name.removeprefix(f"{inner.rstrip('/')}/").rstrip("/") for name in names)
    return sorted(name for name in found if name)  # an object store has folders without a name


def version_of(path: str) -> str:
    """A text that changes when the file at `path` does, as far as its state shows."""
    with named_errors(path):
        if is_local(path):
            found = local_path(path).stat()
            return f"{found.st_size} {found.st_mtime_ns}"
        # From the last listing, which fsspec remembers: no request for each file.
        file_system, inner = file_system_of(path)
        info = file_system.info(inner)
        return f"{info.get('size')} {info.get('ETag') or info.get('last_commit') or ''}"


def listed_size_of(path: str) -> int:
    """The size of the file at `path` by the last listing, in bytes; 0 if it is unknown."""
    with named_errors(path):
        if is_local(path):
            return local_path(path).stat().st_size
        file_system, inner = file_system_of(path)
        return int(file_system.info(inner).get("size") or 0)


def size_of(path: str) -> int:
    """The size of the file at `path`, in bytes."""
    with named_errors(path):
        if is_local(path):
            return local_path(path).stat().st_size
        file_system, inner = fresh_file_system_of(path)
        return int(file_system.size(inner))


def modified_at(path: str) -> float:
    """When the file at `path` was written, in seconds since 1970 by the clock of its storage."""
    with named_errors(path):
        file_system, inner = fresh_file_system_of(path)
        return file_system.modified(inner).timestamp()


def _listed(folder: str, suffix: str) -> dict[str, Mapping[str, Any]]:
    """From each path to its entry in the listing, in name order."""
    with named_errors(folder):
        file_system, inner = fresh_file_system_of(folder)
        try:
            entries = file_system.ls(inner, detail=True)
        except FileNotFoundError:
            return {}
    files = {
        posixpath.basename(entry["name"]): entry for entry in entries if entry["type"] == "file"
    }
    paths = _full_paths(folder, files, suffix)
    return {path: files[posixpath.basename(path)] for path in paths}


def _full_paths(folder: str, names: Iterable[str], suffix: str) -> list[str]:
    """The paths of the finished files in `folder` that end in `suffix`, in order."""
    return [
        f"{folder.rstrip('/')}/{name}"  # not joined: on an object store it may begin with a slash
        for name in sorted(names)
        if name.endswith(suffix) and not local_files.is_temporary(posixpath.basename(name))
    ]


def _still_there(listed: Iterable[tuple[str, Mapping[str, Any]]]) -> list[FileState]:
    """The states of listed files, without those that were removed since: leases come and go."""
    found = []
    for path, entry in listed:
        try:
            found.append(_state(path, entry))
        except PathError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
    return found


def _state(path: str, entry: Mapping[str, Any]) -> FileState:
    """The state of a listed file."""
    if is_local(path):
        with named_errors(path):
            found = local_path(path).stat()  # of the target, if it is a link
        # With ctime: a program can set mtime back, but not ctime.
        version = f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
        changed_at = max(found.st_mtime, found.st_ctime)
        return FileState(path, found.st_size, version, names_content=False, changed_at=changed_at)
    size = int(entry["size"])
    tag = next((entry[key] for key in _CONTENT_TAGS if entry.get(key)), None)
    time = next((entry[key] for key in _TIMES if isinstance(entry.get(key), datetime)), None)
    version = f"{size} {tag or time}"
    changed_at = time and time.timestamp()
    return FileState(path, size, version, names_content=tag is not None, changed_at=changed_at)
