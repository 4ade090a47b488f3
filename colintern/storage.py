"""Files on any fsspec file system: whole-file atomic writes, ranged reads, listings.

Paths are strings, local (`runs/demo`) or URLs (`s3://bucket/runs/demo`); every function takes both.
A reader never sees half a file: local writes go to a temporary name in the same folder, reach the
disk and are renamed; object stores show an object only when its upload is complete.
"""

import errno
import hashlib
import json
import os
import posixpath
import random
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
)
from fsspec.core import url_to_fs
from huggingface_hub.errors import HfHubHTTPError

from colintern.errors import PathError, StorageError
from colintern.ranges import Range, batches_of_requests

_TEMPORARY_MARK = ".tmp-"
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
_FULL = (errno.ENOSPC, errno.EDQUOT)
# S3 says so of a create while another request on the same name is on its way.
_CONFLICTS = ("ConditionalRequestConflict", "OperationAborted")
_CONFLICT_PAUSES_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.6)
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


def read_bytes(path: str, start: int | None = None, end: int | None = None) -> bytes:
    """The bytes of `path`, or only those from `start` up to `end`.

    Raises:
        StorageError: the file is missing or cannot be read.
    """
    with named_errors(path):
        if is_local(path):  # by hand: fsspec would read '::' in a file's name as a chain of URLs
            with local_path(path).open("rb") as file:
                file.seek(start or 0)
                return file.read(-1 if end is None else end - (start or 0))
        file_system, inner = _opened(path)
        return file_system.cat_file(inner, start=start, end=end)


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
        if not is_local(path):
            fsspec.filesystem(path.split("://")[0]).pipe_file(path, data)
            return
        with _written_beside(local_path(path), data) as temporary:
            temporary.replace(local_path(path))


def write_json(path: str, document: Any) -> None:
    """Write `document` as indented JSON with keys in the given order; atomic."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, text.encode() + b"\n")


def create_exclusively(path: str, data: bytes) -> bool:
    """Write `data` to `path` only if nothing stands there; whether it was written.

    Of several callers at one time exactly one gets True: locally by a hard link, which fails when
    the name is taken; on S3 by `If-None-Match: *`.
    """
    with named_errors(path):
        try:
            if not is_local(path):
                _create_object(path, data)
                return True
            with _written_beside(local_path(path), data) as temporary:
                os.link(temporary, local_path(path))
                return True
        except FileExistsError:
            # A create whose answer was lost is tried again and then meets its own file.
            return not is_local(path) and read_bytes(path) == data


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

    For libraries that would open one of their own, with other credentials or another address.
    """
    return url_to_fs(path)


def list_files(folder: str, suffix: str = "") -> list[str]:
    """The files right inside `folder` whose name ends in `suffix`, full paths in name order.

    A folder that does not exist has no files. Names of unfinished writes are left out.
    """
    with named_errors(folder):
        file_system, inner = _opened(folder)
        try:
            entries = file_system.ls(inner, detail=True)
        except FileNotFoundError:
            return []
    names = (posixpath.basename(entry["name"]) for entry in entries if entry["type"] == "file")
    return [
        join(folder, name)
        for name in sorted(names)
        if name.endswith(suffix) and _TEMPORARY_MARK not in name
    ]


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
    return [
        join(folder, name)
        for name in sorted(names)
        if name.endswith(suffix) and _TEMPORARY_MARK not in name
    ]


def list_folders(folder: str) -> list[str]:
    """The names of the folders right inside `folder`, in order; none if it does not exist."""
    with named_errors(folder):
        file_system, inner = _opened(folder)
        try:
            entries = file_system.ls(inner, detail=True)
        except FileNotFoundError:
            return []
    return sorted(
        posixpath.basename(entry["name"].rstrip("/"))
        for entry in entries
        if entry["type"] == "directory"
    )


def version_of(path: str) -> str:
    """Changes when the file at `path` does, as far as can be told without reading it."""
    with named_errors(path):
        if is_local(path):
            found = local_path(path).stat()
            return f"{found.st_size} {found.st_mtime_ns}"
        # What a listing has just told is remembered: no request for every file.
        file_system, inner = url_to_fs(path)
        info = file_system.info(inner)
        return f"{info.get('size')} {info.get('ETag') or info.get('last_commit') or ''}"


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
    with named_errors(path), fsspec.open(path, "rb") as file:
        while chunk := file.read(chunk_bytes):  # pyright: ignore[reportAttributeAccessIssue]
            digest.update(chunk)
    return digest.hexdigest()


def _opened(path: str) -> tuple[Any, str]:
    """The file system of `path`, and the path inside it.

    What it remembers of listings is forgotten, as other processes write too; except on the Hub,
    where a commit stays as it is.
    """
    file_system, inner = url_to_fs(path)
    if not path.startswith("hf://"):
        file_system.invalidate_cache()
    return file_system, inner


def _create_object(path: str, data: bytes) -> None:
    """Create an object unless it is there; a conflict with another request is tried again."""
    file_system = fsspec.filesystem(path.split("://")[0])
    for pause_seconds in (*_CONFLICT_PAUSES_SECONDS, None):
        try:
            return file_system.pipe_file(path, data, mode="create")
        except OSError as error:
            if pause_seconds is None or not _is_conflict(error):
                raise
        time.sleep(pause_seconds * (0.5 + random.random()))


def _is_conflict(error: OSError) -> bool:
    answer = error.__cause__
    return isinstance(answer, ClientError) and answer.response["Error"]["Code"] in _CONFLICTS


@contextmanager
def _written_beside(path: Path, data: bytes) -> Iterator[Path]:
    """A finished temporary file with `data` in the folder of `path`; gone at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}{_TEMPORARY_MARK}{uuid.uuid4().hex}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


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
        reason = " ".join(str(error).split())
        number = error.errno if isinstance(error, OSError) else None
        if isinstance(error, _MISTAKES) or number in _MISTAKEN_NUMBERS:
            raise PathError(f"{path}: cannot be read or written ({reason})") from error
        remedy = "check the connection, or try again"
        if is_local(path):
            remedy = "free some space" if number in _FULL else "check the disk, or try again"
        raise StorageError(f"{path}: cannot be read or written ({reason}); {remedy}") from error
