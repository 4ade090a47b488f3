"""Files on any fsspec file system: whole-file atomic writes, ranged reads, listings.

Paths are strings, local (`runs/demo`) or URLs (`s3://bucket/runs/demo`); every function takes both.
A reader never sees half a file: local writes go to a temporary name in the same folder, reach the
disk and are renamed; object stores show an object only when its upload is complete. Names may hold
anything: '::' is no chain of URLs, as it is for fsspec, and two slashes are two.
"""

import errno
import hashlib
import json
import posixpath
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
)
from huggingface_hub.errors import HfHubHTTPError

from colintern.errors import PathError, StorageError, one_line
from colintern.storage import local_files, object_store
from colintern.storage.ranges import Range, batches_of_requests

# Raised about a path that cannot be one, an unknown scheme, or credentials that cannot be right.
_MISTAKES = (
    ValueError,
    ImportError,
    IsADirectoryError,
    NotADirectoryError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
)
_MISTAKEN_NUMBERS = (errno.EINVAL, errno.ELOOP, errno.ENAMETOOLONG, errno.EROFS)
# What object stores call the hash, or the number, of just these bytes.
_CONTENT_TAGS = ("ETag", "etag", "md5Hash", "generation")
_TIMES = ("LastModified", "last_modified", "updated", "created")
_FULL = (errno.ENOSPC, errno.EDQUOT)
# With the errors of the HTTP library below it, which has been another one before.
HUB_ERRORS: Any = HfHubHTTPError.__bases__


def is_local(path: str) -> bool:
    """Whether `path` is on this machine's file system."""
    return "://" not in path or path.startswith("file://")


def local_path(path: str) -> Path:
    """`path` without its `file://`, as a `pathlib.Path`; only for local paths."""
    assert is_local(path), path
    return Path(path.removeprefix("file://"))


def absolute(path: str) -> str:
    """`path` made independent of the working folder (Ray workers have another one)."""
    return str(local_path(path).expanduser().absolute()) if is_local(path) else path.rstrip("/")


def real(path: str) -> str:
    """`path` without links and '..', or a URL as it is: equal for one file or folder."""
    return str(Path(absolute(path)).resolve()) if is_local(path) else path.rstrip("/")


def is_relative(path: str) -> bool:
    """Whether `path` means another place in another working folder."""
    return is_local(path) and not local_path(path).expanduser().is_absolute()


def join(root: str, *parts: str) -> str:
    """Join `parts` under `root` with slashes."""
    return posixpath.join(root, *parts)


def exists(path: str) -> bool:
    """Whether a file or folder stands at `path`."""
    with named_errors(path):
        file_system, inner = _opened(path)
        return file_system.exists(inner)


def open_file(path: str) -> Any:
    """The file at `path`, opened for reading bytes; closed by the caller.

    Raises:
        StorageError: the file is missing or cannot be read.
    """
    with named_errors(path):
        if is_local(path):
            return local_path(path).open("rb")
        file_system, inner = _opened(path)
        return file_system.open(inner, "rb")


def read_bytes(path: str, start: int | None = None, end: int | None = None) -> bytes:
    """The bytes of `path`, or only those from `start` up to `end`.

    Raises:
        StorageError: the file is missing or cannot be read.
    """
    with named_errors(path):
        if is_local(path):
            with local_path(path).open("rb") as file:
                file.seek(start or 0)
                return file.read(-1 if end is None else end - (start or 0))
        file_system, inner = _opened(path)
        return file_system.cat_file(inner, start=start, end=end)


def read_bytes_if_there(path: str) -> bytes | None:
    """The bytes of `path`; None where nothing stands.

    Raises:
        StorageError: something stands there that cannot be read.
    """
    try:
        return read_bytes(path)
    except PathError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise


def read_ranges(path: str, ranges: Sequence[Range]) -> list[bytes]:
    """The bytes of several ranges, each from its start up to its end, in the order asked for.

    On an object store ranges that are near each other come with one request, several requests at a
    time; besides what is returned, about `ranges.BYTES_AT_ONCE` are in memory.

    Raises:
        StorageError: the file is missing or cannot be read.
    """
    if is_local(path):
        return [read_bytes(path, start, end) for start, end in ranges]
    found: dict[Range, bytes] = {}
    with named_errors(path):
        file_system, inner = _opened(path)
        for requests in batches_of_requests(ranges):
            starts = [request.start for request in requests]
            ends = [request.end for request in requests]
            data = file_system.cat_ranges([inner] * len(requests), starts, ends, on_error="raise")
            for request, piece in zip(requests, data, strict=True):
                found.update(request.cut(piece))
    return [found[wanted] for wanted in ranges]


def read_json(path: str) -> Any:
    """The JSON document at `path`."""
    try:
        return json.loads(read_bytes(path))
    except ValueError as error:
        raise PathError(
            f"{path}: is not JSON ({error}); remove it to have it made again"
        ) from error


def write_bytes(path: str, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all, replacing what was there."""
    with named_errors(path):
        if is_local(path):
            local_files.write(local_path(path), data)
        else:
            object_store.write(path, data)


@contextmanager
def writing(path: str) -> Iterator[BinaryIO]:
    """A file to write to piece by piece; it stands at `path`, whole, when the block ends well.

    What goes to an object store is on this machine's disk until then. What the block raises stays
    as it is: it writes under `named_errors`.
    """
    if is_local(path):
        manager = local_files.writing(local_path(path))
    else:
        manager = object_store.writing(path)
    with named_errors(path):
        file = manager.__enter__()
    try:
        yield file
    except BaseException:
        manager.__exit__(*sys.exc_info())
        raise
    with named_errors(path):
        manager.__exit__(None, None, None)


def write_json(path: str, document: Any) -> None:
    """Write `document` as indented JSON with keys in the given order; atomic."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, text.encode() + b"\n")


def create_exclusively(path: str, data: bytes) -> bool:
    """Write `data` to `path` only if nothing stands there; whether it was written.

    Of several callers at one time exactly one gets True.
    """
    with named_errors(path):
        try:
            if is_local(path):
                local_files.create(local_path(path), data)
            else:
                object_store.create(path, data)
        except FileExistsError:
            return False
        return True


def update(path: str, data: bytes, may_replace: Callable[[bytes], bool]) -> bool:
    """Write a small file again, if what stands there may be replaced by `data` of the same length.

    What another process puts there between the look and the write is not overwritten, on disks
    and on S3.

    Args:
        path: the file.
        data: its new content.
        may_replace: told what stands there.

    Returns:
        Whether it was written; False also when there is no file.
    """
    with named_errors(path):
        if is_local(path):
            return local_files.update(local_path(path), data, may_replace)
        return object_store.update(path, data, may_replace)


def delete(path: str) -> None:
    """Remove the file at `path`; one that is not there is no error."""
    with named_errors(path):
        file_system, inner = _opened(path)
        try:
            file_system.rm_file(inner)
        except FileNotFoundError:
            return


def delete_folder(folder: str) -> None:
    """Remove `folder` and everything in it; one that is not there is no error."""
    with named_errors(folder):
        file_system, inner = _opened(folder)
        try:
            file_system.rm(inner, recursive=True)
        except FileNotFoundError:
            return


def file_system_of(path: str) -> tuple[Any, str]:
    """The fsspec file system that `path` is read with here, and the path inside it.

    For libraries that would open one of their own, with other credentials or another address. What
    it remembers of listings stays.
    """
    if is_local(path):
        return fsspec.filesystem("file"), str(local_path(path).absolute())
    return object_store.opened(path)


@dataclass(frozen=True)
class FileState:
    """How a file looks from outside.

    Attributes:
        path: its full path.
        size: in bytes.
        version: changes when the file does, as far as can be told without reading it.
        names_content: whether equal versions mean equal bytes, as an object's ETag does.
        changed_at: seconds since 1970; None when it is not told.
    """

    path: str
    size: int
    version: str
    names_content: bool
    changed_at: float | None


def list_files(folder: str, suffix: str = "") -> list[str]:
    """The files right inside `folder` whose name ends in `suffix`, full paths in name order.

    A folder that does not exist has no files. Names of unfinished writes are left out.
    """
    return list(_listed(folder, suffix))


def list_states(folder: str, suffix: str = "") -> list[FileState]:
    """As `list_files`, with how each looks; it is one listing, also on an object store."""
    return [_state(path, entry) for path, entry in _listed(folder, suffix).items()]


def _listed(folder: str, suffix: str) -> dict[str, Mapping[str, Any]]:
    """Path to entry of the listing, in name order."""
    with named_errors(folder):
        file_system, inner = _opened(folder)
        try:
            entries = file_system.ls(inner, detail=True)
        except FileNotFoundError:
            return {}
    files = {
        posixpath.basename(entry["name"]): entry for entry in entries if entry["type"] == "file"
    }
    paths = _full_paths(folder, files, suffix)
    return {path: files[posixpath.basename(path)] for path in paths}


def find_files(folder: str, suffix: str = "") -> list[str]:
    """The files in `folder` and in all folders inside it, full paths in name order.

    One listing on an object store. A folder that does not exist has no files; a file is its own.
    """
    with named_errors(folder):
        file_system, inner = _opened(folder)
        try:
            found = file_system.find(inner)
        except FileNotFoundError:
            return []
    if found == [inner]:
        return [folder] if folder.endswith(suffix) else []
    prefix = inner.rstrip("/") + "/"
    names = (name.removeprefix(prefix) for name in found if name.startswith(prefix))
    return _full_paths(folder, names, suffix)


def list_folders(folder: str) -> list[str]:
    """The names of the folders right inside `folder`, in order; none if it does not exist."""
    with named_errors(folder):
        file_system, inner = _opened(folder)
        try:
            entries = file_system.ls(inner, detail=True)
        except FileNotFoundError:
            return []
    names = (entry["name"] for entry in entries if entry["type"] == "directory")
    found = (name.removeprefix(f"{inner.rstrip('/')}/").rstrip("/") for name in names)
    return sorted(name for name in found if name)  # an object store has folders without a name


def version_of(path: str) -> str:
    """Changes when the file at `path` does, as far as can be told without reading it."""
    with named_errors(path):
        if is_local(path):
            found = local_path(path).stat()
            return f"{found.st_size} {found.st_mtime_ns}"
        # What a listing has just told is remembered: no request for every file.
        file_system, inner = file_system_of(path)
        info = file_system.info(inner)
        return f"{info.get('size')} {info.get('ETag') or info.get('last_commit') or ''}"


def listed_size_of(path: str) -> int:
    """The size of the file at `path` as a listing has just told it; 0 where it does not."""
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
        file_system, inner = _opened(path)
        return int(file_system.size(inner))


def sha256_of_bytes(data: bytes) -> str:
    """SHA-256 of `data`, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: str, chunk_bytes: int = 1 << 22) -> str:
    """SHA-256 of the file at `path`, read in chunks."""
    digest = hashlib.sha256()
    with named_errors(path), open_file(path) as file:
        while chunk := file.read(chunk_bytes):
            digest.update(chunk)
    return digest.hexdigest()


def modified_at(path: str) -> float:
    """When the file at `path` was written, in seconds since 1970 by the clock of its storage."""
    with named_errors(path):
        file_system, inner = _opened(path)
        return file_system.modified(inner).timestamp()


def remove_abandoned(folder: str, *, deep: bool = True) -> None:
    """Remove temporary files that dead processes left in `folder`, and in the folders inside it.

    Those of other machines are kept for a day, as their process cannot be asked. An object store
    has none.
    """
    if is_local(folder):
        with named_errors(folder):
            local_files.remove_abandoned(local_path(folder), deep=deep)


def _full_paths(folder: str, names: Iterable[str], suffix: str) -> list[str]:
    """The paths of those files in `folder` that end in `suffix` and are finished, in order."""
    return [
        f"{folder.rstrip('/')}/{name}"  # not joined: on an object store it may begin with a slash
        for name in sorted(names)
        if name.endswith(suffix) and not local_files.is_temporary(posixpath.basename(name))
    ]


def _state(path: str, entry: Mapping[str, Any]) -> FileState:
    """How a listed file looks."""
    if is_local(path):
        with named_errors(path):
            found = local_path(path).stat()  # of what a link points to
        # No program can set the time of the last change of the inode back.
        version = f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
        changed_at = max(found.st_mtime, found.st_ctime)
        return FileState(path, found.st_size, version, names_content=False, changed_at=changed_at)
    size = int(entry["size"])
    tag = next((entry[key] for key in _CONTENT_TAGS if entry.get(key)), None)
    time = next((entry[key] for key in _TIMES if isinstance(entry.get(key), datetime)), None)
    version = f"{size} {tag or time}"
    changed_at = time and time.timestamp()
    return FileState(path, size, version, names_content=tag is not None, changed_at=changed_at)


def _opened(path: str) -> tuple[Any, str]:
    """The file system of `path`, and the path inside it.

    What it remembers of listings is forgotten, as other processes write too; except on the Hub,
    where a commit stays as it is.
    """
    file_system, inner = file_system_of(path)
    if not path.startswith("hf://"):
        file_system.invalidate_cache()
    return file_system, inner


@contextmanager
def named_errors(path: str) -> Iterator[None]:
    """Turn what file systems raise about `path` into one line that names it.

    Raises:
        PathError: it is wrong, which the user can mend.
        StorageError: storage fails.
    """
    try:
        yield
    except FileExistsError:
        raise
    except FileNotFoundError as error:
        what = "file or folder" if is_local(path) else "file, folder or bucket"
        raise PathError(f"{path}: no such {what}") from error
    except PermissionError as error:
        raise PathError(f"{path}: access denied; check its permissions or credentials") from error
    except NoCredentialsError as error:
        raise PathError(
            f"{path}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or "
            "AWS_PROFILE, or run where a role gives them"
        ) from error
    except (OSError, *_MISTAKES, BotoCoreError, ClientError, *HUB_ERRORS) as error:
        reason = one_line(error)
        number = error.errno if isinstance(error, OSError) else None
        if isinstance(error, _MISTAKES) or number in _MISTAKEN_NUMBERS:
            raise PathError(f"{path}: cannot be read or written ({reason})") from error
        remedy = "check the connection, or try again"
        if is_local(path):
            remedy = "free some space" if number in _FULL else "check the disk, or try again"
        raise StorageError(f"{path}: cannot be read or written ({reason}); {remedy}") from error
