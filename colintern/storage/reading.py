"""Reading files: whole, in ranges, as JSON, as a hash."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from colintern.errors import PathError
from colintern.storage.errors import named_errors
from colintern.storage.paths import (
    file_system_of,
    fresh_file_system_of,
    is_local,
    local_path,
)
from colintern.storage.ranges import Piece, Request, batches_of_requests


def open_file(path: str) -> Any:
    """The file at `path`, opened for reading bytes; closed by the caller.

    Raises:
        StorageError: the file is missing or cannot be read.
    """
    with named_errors(path):
        if is_local(path):
            return local_path(path).open("rb")
        file_system, inner = fresh_file_system_of(path)
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
        file_system, inner = fresh_file_system_of(path)
        return file_system.cat_file(inner, start=start, end=end)


def read_bytes_if_there(path: str) -> bytes | None:
    """The bytes of `path`; None if there is nothing.

    Raises:
        StorageError: there is something that cannot be read.
    """
    try:
        return read_bytes(path)
    except PathError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise


def read_pieces(pieces: Sequence[Piece]) -> list[bytes]:
    """Pieces of files that stand in one place: on this machine, or in one object store.

    On an object store, pieces of a file that are near each other share a request, and several
    requests, to several files too, are sent at a time; they need about `ranges.BYTES_AT_ONCE` of
    memory beside the result.

    Returns:
        The bytes of each, in the given order.

    Raises:
        StorageError: a file is missing or cannot be read.
    """
    if not pieces or is_local(pieces[0].path):
        return [read_bytes(*piece) for piece in pieces]
    found: dict[Piece, bytes] = {}
    for requests in batches_of_requests(pieces):
        for request, data in zip(requests, _answers(requests), strict=True):
            found.update(request.cut(data))
    return [found[piece] for piece in pieces]


def _answers(requests: Sequence[Request]) -> list[bytes]:
    """What requests to one object store give, sent at one time."""
    with named_errors(requests[0].path):
        file_system, _ = fresh_file_system_of(requests[0].path)
        inner = [file_system_of(request.path)[1] for request in requests]
        starts = [request.start for request in requests]
        ends = [request.end for request in requests]
        answers = file_system.cat_ranges(inner, starts, ends, on_error="return")
    for request, answer in zip(requests, answers, strict=True):
        with named_errors(request.path):
            if isinstance(answer, Exception):
                raise answer
    return answers


def read_json(path: str) -> Any:
    """The JSON document at `path`."""
    try:
        return json.loads(read_bytes(path))
    except ValueError as error:
        raise PathError(
            f"{path}: is not JSON ({error}); remove it to have it made again"
        ) from error


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
