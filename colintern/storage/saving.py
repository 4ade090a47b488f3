"""Writing and deleting files; a file is written whole, or not at all.

A reader never sees half a file: local writes go to a temporary name in the same folder, reach the
disk and are renamed; object stores show an object only when its upload is complete.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from colintern.storage import local_files, object_store
from colintern.storage.errors import named_errors
from colintern.storage.paths import fresh_file_system_of, is_local, local_path


def write_bytes(path: str, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all, replacing what was there."""
    with named_errors(path):
        if is_local(path):
            local_files.write(local_path(path), data)
        else:
            object_store.write(path, data)


@contextmanager
def writing(path: str) -> Iterator[BinaryIO]:
    """A file to write to piece by piece; it appears at `path`, whole, if the block ends well.

    What goes to an object store is on this machine's disk until then. Errors that the block raises
    are left as they are: the block itself writes under `named_errors`.
    """
    with ExitStack() as stack:
        with named_errors(path):
            if is_local(path):
                file = stack.enter_context(local_files.writing(local_path(path)))
            else:
                file = stack.enter_context(object_store.writing(path))
        yield file
        with named_errors(path):
            stack.close()


def write_json(path: str, document: Any) -> None:
    """Write `document` as indented JSON with keys in the given order; atomic."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, text.encode() + b"\n")


def create_exclusively(path: str, data: bytes) -> bool:
    """Write `data` to `path` only if nothing is there; returns whether it was written.

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
    """Write a small file again, if its content may be replaced by `data` of the same length.

    On disks and on S3, what another process writes between the read and the write is kept.

    Args:
        path: the file.
        data: its new content.
        may_replace: given the present content.

    Returns:
        Whether it was written; False also when there is no file.
    """
    with named_errors(path):
        if is_local(path):
            return local_files.update(local_path(path), data, may_replace)
        return object_store.update(path, data, may_replace)


def move(source: str, target: str) -> None:
    """Give the file at `source` the name `target`, in the same storage, replacing what was there.

    A disk renames it. An object store copies it, on its own side, and then removes the first.
    """
    with named_errors(source):
        if is_local(source):
            local_path(target).parent.mkdir(parents=True, exist_ok=True)
            local_path(source).replace(local_path(target))
            return
        file_system, inner = fresh_file_system_of(source)
        file_system.cp_file(inner, fresh_file_system_of(target)[1])  # `mv` would expand patterns
        file_system.rm_file(inner)


def delete(path: str) -> None:
    """Remove the file at `path`; one that is not there is no error."""
    with named_errors(path):
        file_system, inner = fresh_file_system_of(path)
        try:
            file_system.rm_file(inner)
        except FileNotFoundError:
            return


def delete_folder(folder: str) -> None:
    """Remove `folder` and everything in it; one that is not there is no error."""
    with named_errors(folder):
        file_system, inner = fresh_file_system_of(folder)
        try:
            file_system.rm(inner, recursive=True)
        except FileNotFoundError:
            return


@contextmanager
def leaving_no_empty_folder(folder: str) -> Iterator[None]:
    """Take away `folder`, and those around it, if the block has made them and left nothing in them.

    An object store has no empty folders.
    """
    missing: list[Path] = []
    if is_local(folder):
        path = local_path(folder)
        missing = [one for one in (path, *path.parents) if not one.exists()]
    try:
        yield
    finally:
        for one in missing:
            with suppress(OSError):  # something stands in it, or it was never made
                one.rmdir()


def remove_abandoned(folder: str, *, deep: bool = True) -> None:
    """Remove temporary files that dead processes left in `folder`, and in the folders inside it.

    Files of other machines are kept for a day, as their processes cannot be seen. An object store
    has no temporary files.
    """
    if is_local(folder):
        with named_errors(folder):
            local_files.remove_abandoned(local_path(folder), deep=deep)
