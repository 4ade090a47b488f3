"""Files on local or mounted disks: written whole or not at all; leftovers can be found.

A file is written beside its final name, under a temporary name that says which process writes it.
So the leftovers of a killed process differ from the files that a living one is about to rename.
"""

import errno
import fcntl
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from colintern.storage.process import Process, is_alive, this_process

# Earlier versions did not name the process.
_TEMPORARY = re.compile(
    r".+\.tmp-(?:(?P<machine>[0-9a-f]{12})-(?P<pid>\d+)-(?P<started>[0-9a-f]*)-)?[0-9a-f]{8,32}"
)
_CLAIM = ".claim"
_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
# It is unknown whether a process of another machine lives; no write takes that long.
_LONGEST_WRITE_SECONDS = 24 * 3600


def temporary_name(name: str) -> str:
    """A temporary name for a file that becomes `name`; it says that this process owns it."""
    owner = this_process()
    mark = f"{owner.machine}-{owner.pid}-{owner.started}-{uuid.uuid4().hex[:8]}"
    return f"{name}.tmp-{mark}"


def is_temporary(name: str) -> bool:
    """Whether a file has the name of an unfinished write."""
    return _TEMPORARY.fullmatch(name) is not None


def write(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all, replacing what was there."""
    with writing(path) as file:
        file.write(data)


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A file to write to piece by piece; it gets its name when the block ends without an error."""
    with _temporary_beside(path) as temporary:
        with temporary.open("wb") as file:
            yield file
            _reach_the_disk(file)
        temporary.replace(path)


def create(path: Path, data: bytes) -> None:
    """Write a file where there is none; of several callers at one time one succeeds.

    Raises:
        FileExistsError: there is one.
    """
    with _written_beside(path, data) as temporary:
        try:
            os.link(temporary, path)  # fails when the name is taken
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            _rename_to_free_name(temporary, path)


def update(path: Path, data: bytes, may_replace: Callable[[bytes], bool]) -> bool:
    """Overwrite a file in place, if its content may be replaced by `data`.

    A file that another process puts there meanwhile, by `write` or `create`, is never overwritten:
    it is another file, and the one opened here has lost its name. A reader may see bytes of both
    contents, but never fewer bytes.

    Args:
        path: the file.
        data: as long as what it replaces, and short enough for one write.
        may_replace: given the present content.

    Returns:
        Whether it was written; False also when there is no file.
    """
    try:
        with path.open("r+b", buffering=0) as file:
            if not may_replace(file.read()):
                return False
            file.seek(0)
            file.write(data)
            file.truncate()
            os.fsync(file.fileno())
            return True
    except FileNotFoundError:
        return False


def remove_abandoned(folder: Path, *, deep: bool = True) -> None:
    """Remove temporary files and folders in `folder`, and below it, that nobody will rename.

    Their process is gone; or it is of another machine and has not touched them for a day. Files
    of other users are left to them.
    """
    for parent, folders, names in os.walk(folder):
        for path in (Path(parent, name) for name in (*names, *folders) if is_temporary(name)):
            if is_abandoned(path):
                _remove(path)
        if not deep:
            folders.clear()


def is_abandoned(path: Path) -> bool:
    """Whether nobody will rename a temporary file or folder: its process is gone.

    One of a process that cannot be asked is, when it was not touched for a day.
    """
    found = _TEMPORARY.fullmatch(path.name)
    assert found, path
    alive = None
    if found["machine"]:
        alive = is_alive(Process(found["machine"], int(found["pid"]), found["started"]))
    if alive is None:
        try:
            alive = time.time() - path.stat().st_mtime < _LONGEST_WRITE_SECONDS
        except FileNotFoundError:
            return False  # renamed since the listing
    return not alive


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError, PermissionError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def _written_beside(path: Path, data: bytes) -> Iterator[Path]:
    """A finished temporary file with `data` in the folder of `path`; removed at the end."""
    with _temporary_beside(path) as temporary:
        with temporary.open("wb") as file:
            file.write(data)
            _reach_the_disk(file)
        yield temporary


@contextmanager
def _temporary_beside(path: Path) -> Iterator[Path]:
    """A temporary name in the folder of `path`; a file of that name is removed at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(temporary_name(path.name))
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _reach_the_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _rename_to_free_name(temporary: Path, path: Path) -> None:
    """As a hard link that fails if the name is taken, for file systems without hard links.

    Only the holder of the claim may check whether the name is free, and take it.
    """
    with _claimed(path):
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        temporary.rename(path)


@contextmanager
def _claimed(path: Path) -> Iterator[None]:
    """Be the only one who may create `path`; the claim of a killed process ends with it.

    The claim is a lock on a file beside `path`. That file is removed at the end: who gets the lock
    of a file that was removed meanwhile tries again.
    """
    claim = path.with_name(f"{path.name}{_CLAIM}")
    while True:
        with claim.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                is_current = os.path.samestat(os.fstat(file.fileno()), claim.stat())
            except FileNotFoundError:
                is_current = False
            if is_current:
                try:
                    yield
                finally:
                    claim.unlink(missing_ok=True)
                return
