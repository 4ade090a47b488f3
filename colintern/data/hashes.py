"""SHA-256 of files that are too large, or asked for too often, to be read each time."""

import os
import posixpath
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from colintern import log, storage
from colintern.errors import PathError
from colintern.storage import FileState

_TOLD_BYTES = 2**30  # about a second's work; for more a line is logged
# A file that is younger than this may be written again within one tick of its file system's clock,
# and would look the same: its hash is not remembered.
_SETTLED_SECONDS = 2.0
_MOST_THREADS = 8


class FileHashes:
    """Hashes of files: each is read once, and again only when size, times or ETag have changed.

    Args:
        memory: a JSON file that keeps the hashes, with the state of each file, for the next start.
            None keeps them in this object only.
        trusts_tags: take an object's ETag instead of its hash and read no byte; the same file in
            another store then counts as another.
    """

    def __init__(self, memory: str | None = None, *, trusts_tags: bool = False) -> None:
        self._memory = memory
        self._trusts_tags = trusts_tags
        self._known: dict[str, list[str]] | None = None

    def of(self, files: Sequence[FileState]) -> list[str]:
        """A text for each file, equal for equal bytes."""
        unread = [file for file in files if not self._is_told(file)]
        hashes = dict(zip((file.path for file in unread), self.sha256_of(unread), strict=True))
        return [
            f"etag {file.version}" if self._is_told(file) else f"sha256 {hashes[file.path]}"
            for file in files
        ]

    def sha256_of(self, files: Sequence[FileState]) -> list[str]:
        """The SHA-256 of each file, read where it is not known."""
        known = self._remembered()
        unread = [file for file in files if known.get(file.path, [""])[0] != file.version]
        read = dict(zip((file.path for file in unread), self._read(unread), strict=True))
        settled = time.time() - _SETTLED_SECONDS
        kept = {
            file.path: [file.version, read[file.path]]
            for file in unread
            if file.changed_at is not None and file.changed_at < settled
        }
        if kept:
            known.update(kept)
            self._remember()
        return [read.get(file.path) or known[file.path][1] for file in files]

    def _is_told(self, file: FileState) -> bool:
        return self._trusts_tags and file.names_content

    def _read(self, files: Sequence[FileState]) -> list[str]:
        num_bytes = sum(file.size for file in files)
        if num_bytes > _TOLD_BYTES:
            log.say("data", "hashing %d files, %.1f GB, once", len(files), num_bytes / 1e9)
        with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
            return list(pool.map(storage.sha256_of_file, (file.path for file in files)))

    def _remembered(self) -> dict[str, list[str]]:
        if self._known is None:
            there = self._memory is not None and storage.exists(self._memory)
            self._known = storage.read_json(self._memory) if self._memory and there else {}
        assert self._known is not None
        return self._known

    def _remember(self) -> None:
        if self._memory is not None:
            with suppress(PathError):  # if it cannot be written, the next start is only slower
                storage.write_json(self._memory, self._known)


_OF_THIS_PROCESS = FileHashes()


def sha256_of_files(folder: str, names: Sequence[str]) -> list[str]:
    """The SHA-256 of files right inside `folder`.

    A file that this process has read before is read again only when its state has changed.

    Raises:
        PathError: a file is gone.
    """
    states = {posixpath.basename(state.path): state for state in storage.list_states(folder)}
    for name in names:
        if name not in states:
            raise PathError(f"{storage.join(folder, name)}: no such file")
    return _OF_THIS_PROCESS.sha256_of([states[name] for name in names])
