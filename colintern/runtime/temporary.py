"""Folders of local Ray clusters: each says which driver it is of, and goes when that is gone."""

import json
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from colintern.storage.process import Process, is_alive, this_process

PREFIX = "colintern-ray-"
NUM_RANDOM_CHARACTERS = 8  # that `tempfile.mkdtemp` appends
_OWNER = "owner.json"
_LONGEST_SILENCE_SECONDS = 24 * 3600  # a cluster that runs writes its state every few seconds


def make_folder(root: str) -> str:
    """A new folder in `root` that belongs to this process."""
    folder = tempfile.mkdtemp(prefix=PREFIX, dir=root)
    Path(folder, _OWNER).write_text(json.dumps(asdict(this_process())))
    return folder


def keep(folder: str) -> None:
    """Leave a folder to the user, who is told to look into it."""
    Path(folder, _OWNER).unlink(missing_ok=True)


def remove_abandoned(root: str) -> None:
    """Remove the folders in `root` whose driver was killed; those without an owner stay.

    A driver of another machine or container, or of this one before it was started anew, cannot be
    asked: its folder goes when Ray has written nothing there for a day.
    """
    for folder in Path(root).glob(f"{PREFIX}*"):
        with suppress(OSError, ValueError, TypeError):  # without an owner, or another user's
            alive = is_alive(Process(**json.loads((folder / _OWNER).read_text())))
            if alive is None:
                alive = time.time() - _last_change(folder) < _LONGEST_SILENCE_SECONDS
            if not alive:
                shutil.rmtree(folder, ignore_errors=True)


def _last_change(folder: Path) -> float:
    """When something in a folder was last written, in seconds since 1970."""
    return max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))
