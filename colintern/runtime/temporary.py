"""Folders of local Ray clusters: each says which driver it is of, and goes when that is gone."""

import json
import shutil
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from colintern.process import Process, is_alive, this_process

PREFIX = "colintern-ray-"
NUM_RANDOM_CHARACTERS = 8  # that `tempfile.mkdtemp` appends
_OWNER = "owner.json"


def make_folder(root: str) -> str:
    """A new folder in `root` that belongs to this process."""
    folder = tempfile.mkdtemp(prefix=PREFIX, dir=root)
    Path(folder, _OWNER).write_text(json.dumps(asdict(this_process())))
    return folder


def keep(folder: str) -> None:
    """Leave a folder to the user, who is told to look into it."""
    Path(folder, _OWNER).unlink(missing_ok=True)


def remove_abandoned(root: str) -> None:
    """Remove the folders in `root` whose driver was killed; those without an owner stay."""
    for folder in Path(root).glob(f"{PREFIX}*"):
        with suppress(OSError, ValueError, TypeError):  # without an owner, or another user's
            owner = Process(**json.loads((folder / _OWNER).read_text()))
            if is_alive(owner) is False:
                shutil.rmtree(folder, ignore_errors=True)
