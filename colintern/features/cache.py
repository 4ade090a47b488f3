"""Parts of remote stores, kept on this machine's disk up to a bound.

One folder for all processes of the machine, in any number of runs. An entry is a file that is
written beside its place and renamed: a process that is killed leaves no half one. What was not read
for longest goes first. Entries are bytes that whoever reads them checks: nothing here is unpickled,
and a damaged entry is dropped and read anew from the store.

Nothing that goes wrong here is an error: it costs the time of reading from the store again.
"""

import fcntl
import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from colintern import log, storage
from colintern.errors import StorageError, one_line
from colintern.storage.local_files import temporary_name

FOLDER_VARIABLE = "COLINTERN_CACHE"
_FILLED_TO = 0.9  # what stays when something has to go: so the entries are seldom listed
# Of the disk this stays free: Kubernetes takes pods from a machine whose disk is 85 % full, and Ray
# fails tasks at 95 %.
_LEAST_FREE = 0.2
_SIZE_DIGITS = 20  # always as many, so that the size is written over what it replaces at once


class Key(NamedTuple):
    """What an entry holds; equal keys mean equal bytes.

    Attributes:
        path: of the file in the store.
        version: what identifies the file's content (`storage.FileState.version`).
        part: which part of the file, and the checksum of that part if it is known.
    """

    path: str
    version: str
    part: str


def _fills(file: io.RawIOBase, data: np.ndarray) -> bool:
    """Read a file into all of `data`; one call reads 2 GiB at most. False where it ends before."""
    room = data.data
    while room:
        count = file.readinto(room)
        if not count:
            return False
        room = room[count:]
    return True


class NodeCache:
    """Entries on this machine; its processes and their threads may share them.

    Entries never take more than the limit, but for what other processes and threads are writing at
    the moment when the entries are counted anew: one entry each.

    Args:
        folder: of the entries; it is made, and may be removed at any time.
        limit_bytes: what they may take together.
    """

    def __init__(self, folder: str, limit_bytes: int) -> None:
        self._folder = Path(folder)
        self._limit_bytes = limit_bytes

    def __reduce__(self) -> tuple[type["NodeCache"], tuple[str, int]]:
        return NodeCache, (str(self._folder), self._limit_bytes)

    def get(self, key: Key) -> np.ndarray | None:
        """The bytes of an entry, uint8, or None. It has now been read last."""
        try:
            with self._place(key).open("rb", buffering=0) as file:
                data = np.empty(os.fstat(file.fileno()).st_size, np.uint8)
                if not _fills(file, data):
                    return None
                os.utime(file.fileno())
                return data
        except FileNotFoundError:
            return None
        except OSError as error:
            self._tell(_reason(error))
            return None

    def put(self, key: Key, data: bytes) -> None:
        """Keep these bytes, if there is room, and if another process is not just making some."""
        try:
            if self._has_reserved(len(data)):
                self._write(self._place(key), data)
        except FileNotFoundError:
            return  # somebody has removed the folder, or what was just being written
        except (OSError, StorageError) as error:
            self._tell(_reason(error))

    def drop(self, key: Key) -> None:
        """Remove a damaged entry."""
        with suppress(OSError):
            self._place(key).unlink()

    def _place(self, key: Key) -> Path:
        name = hashlib.sha256("\n".join(key).encode()).hexdigest()
        return self._folder / name[:2] / name[2:40]

    @property
    def _writing(self) -> Path:
        """Where entries are written before they get their names."""
        return self._folder / "writing"

    def _write(self, path: Path, data: bytes) -> None:
        """Not brought to the disk at once: a half entry after a power cut fails its check."""
        path.parent.mkdir(exist_ok=True)
        temporary = self._writing / temporary_name(path.name)
        try:
            temporary.write_bytes(data)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def _has_reserved(self, num_bytes: int) -> bool:
        """Whether there is room for so many bytes, which are counted as used from now on.

        Bytes of entries that were written twice, or not at all, stay counted until the entries are
        counted anew: the count may be too high, and then something goes a little early.
        """
        if num_bytes > self._limit_bytes:
            return False
        self._writing.mkdir(parents=True, exist_ok=True)
        with self._counting() as file:
            if file is None:
                return False
            used = _size_in(os.pread(file, _SIZE_DIGITS, 0))
            if used is None or used + num_bytes > self._limit(used):
                used = self._pruned(num_bytes)
            if used + num_bytes > (limit := self._limit(used)):
                if limit < self._limit_bytes:
                    self._tell("its disk is nearly full")
                return False
            os.pwrite(file, f"{used + num_bytes:0{_SIZE_DIGITS}}".encode(), 0)
            return True

    def _limit(self, used: int) -> int:
        """What the entries may take now, when they take `used` bytes."""
        disk = shutil.disk_usage(self._folder)
        return min(self._limit_bytes, used + disk.free - int(disk.total * _LEAST_FREE))

    @contextmanager
    def _counting(self) -> Iterator[int | None]:
        """The file with the number of bytes that are used; None while another process has it.

        Nobody waits for it: that process may have been stopped.
        """
        file = os.open(self._folder / "size", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            is_ours = False
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                is_ours = True
            yield file if is_ours else None
        finally:
            os.close(file)

    def _pruned(self, wanted_bytes: int) -> int:
        """Remove what was not read for longest, where so many bytes more need it.

        Returns:
            The bytes of what is left.
        """
        storage.remove_abandoned(str(self._writing))
        entries = sorted(self._entries())
        used = sum(size for _, size, _ in entries)
        limit = self._limit(used)
        if used + wanted_bytes <= limit:
            return used
        for _, size, path in entries:
            if used + wanted_bytes <= limit * _FILLED_TO:
                break
            with suppress(FileNotFoundError):
                os.unlink(path)
            used -= size
        return used

    def _entries(self) -> Iterator[tuple[int, int, str]]:
        """When each entry was read last, its size and its path."""
        for folder in os.scandir(self._folder):
            if folder.is_dir():
                for entry in os.scandir(folder):
                    with suppress(FileNotFoundError):
                        state = entry.stat()
                        yield state.st_mtime_ns, state.st_size, entry.path

    def _tell(self, reason: str) -> None:
        log.warn_once(
            "features",
            f"features are read without the cache in {self._folder} ({reason}); give it room, set "
            f"{FOLDER_VARIABLE} to a folder on another disk, or set features.cache_bytes=0",
        )


@lru_cache
def node_cache(limit_bytes: int) -> NodeCache | None:
    """The cache of this machine, in the folder that the environment names; None for no bytes."""
    if not limit_bytes:
        return None
    return NodeCache(cache_folder("features"), limit_bytes)


def cache_folder(name: str) -> str:
    """A folder of this machine for what can be had again; it may be removed at any time."""
    folder = os.environ.get(FOLDER_VARIABLE) or os.path.join(_user_cache(), "colintern")
    return os.path.join(os.path.abspath(folder), name)


def _user_cache() -> str:
    try:
        return os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    except RuntimeError:  # a user without a home, as in some containers
        return tempfile.gettempdir()


def _reason(error: OSError | StorageError) -> str:
    """What is wrong, without the entry that it was found at: it is told once."""
    return (isinstance(error, OSError) and error.strerror) or one_line(error)


def _size_in(text: bytes) -> int | None:
    """The number in the file of the size; None of one that is new or damaged."""
    return int(text) if len(text) == _SIZE_DIGITS and text.isdigit() else None
