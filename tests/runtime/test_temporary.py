"""Folders of Ray clusters whose drivers are gone are removed, and no others."""

import json
import os
import time
from pathlib import Path

import pytest

from colintern.runtime import temporary
from colintern.storage.process import this_process

_ME = {"machine": this_process().machine, "pid": os.getpid(), "started": this_process().started}
_BEFORE_A_RESTART = {**_ME, "machine": "0" * 12}


@pytest.mark.parametrize(
    ("owner", "hours", "is_kept"),
    [
        (_ME, 1000, True),
        ({**_ME, "started": "1"}, 0, False),  # the number is used again
        (_BEFORE_A_RESTART, 23, True),
        (_BEFORE_A_RESTART, 25, False),
        (None, 1000, True),  # the user was told to look into it
        ({"pid": 1}, 1000, True),
    ],
)
def test_only_what_nobody_uses_is_removed(tmp_path, owner, hours, is_kept):
    """Gigabytes that pile up as a container is started anew, or a cluster that loses its files."""
    folder = Path(temporary.make_folder(str(tmp_path)))
    (folder / "session" / "logs").mkdir(parents=True)
    (folder / "session" / "logs" / "raylet.out").touch()
    (folder / "session" / "latest").symlink_to(tmp_path / "gone")
    if owner is None:
        temporary.keep(str(folder))
    else:
        (folder / "owner.json").write_text(json.dumps(owner))
    then = time.time() - hours * 3600
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (then, then), follow_symlinks=False)
    temporary.remove_abandoned(str(tmp_path))
    assert folder.exists() == is_kept


def test_a_cluster_that_still_writes_is_kept(tmp_path):
    """A folder that is a week old, removed under a cluster in another container."""
    folder = Path(temporary.make_folder(str(tmp_path)))
    (folder / "owner.json").write_text(json.dumps(_BEFORE_A_RESTART))
    (folder / "raylet.out").touch()
    for path in (folder / "owner.json", folder):
        os.utime(path, (0, 0))
    temporary.remove_abandoned(str(tmp_path))
    assert folder.exists()
