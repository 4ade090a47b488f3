"""Writes a folder: beside its place first, then in it; the same content gives the same bytes.

Only an earlier export is replaced, and only as long as nobody has changed it: people edit model
cards, and keep a `.git` beside them.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from colintern import storage
from colintern.errors import ExportError
from colintern.retrieval.export.content import Content, document
from colintern.storage import local_files

RECORD = "export.json"


def check_place(out: str) -> None:
    """Make sure that a folder may be written at `out`.

    Raises:
        ExportError: it is no local path, or something else than an unchanged export is there.
    """
    if not storage.is_local(out):
        raise ExportError(f"--out {out}: must be a folder on this machine; copy it from there")
    folder = _path(out)
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    written = _written(folder)
    if written is None:
        raise ExportError(f"--out {out}: is there and is no export; name another folder")
    present = {str(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file()}
    present.pop(RECORD)
    for name, file in sorted(present.items()):
        if name not in written:
            raise ExportError(f"--out {out}: holds {name}, which no export wrote; move it away")
        if storage.sha256_of_file(str(file)) != written[name]:
            raise ExportError(f"--out {out}: {name} was changed since its export; move it away")


def write_folder(out: str, files: Mapping[str, Content], record: Mapping[str, Any]) -> None:
    """Write `files`, and a record with the hash of each, to `out`, whole or not at all.

    A process that is killed at the very end may leave nothing at `out`; the same command writes
    it again.

    Args:
        out: where `check_place` allows it.
        files: by their paths in the folder.
        record: what else stands in `export.json`.
    """
    folder = _path(out)
    fresh, old = (folder.with_name(local_files.temporary_name(folder.name)) for _ in range(2))
    storage.remove_abandoned(str(folder.parent), deep=False)
    try:
        with storage.named_errors(out):
            fresh.mkdir(parents=True)
        for name, content in files.items():
            _write(fresh / name, content)
        hashes = {name: storage.sha256_of_file(str(fresh / name)) for name in sorted(files)}
        _write(fresh / RECORD, document({**record, "files": hashes}))
        with storage.named_errors(out):
            if folder.exists():
                folder.rename(old)
            fresh.rename(folder)
    finally:
        for left in (fresh, old):
            shutil.rmtree(left, ignore_errors=True)


def _write(path: Path, content: Content) -> None:
    with storage.writing(str(path)) as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            with content.open("rb") as source:
                shutil.copyfileobj(source, file)


def _written(folder: Path) -> dict[str, str] | None:
    """The hash of each file that the export in a folder wrote; None where there is none."""
    data = storage.read_bytes_if_there(str(folder / RECORD)) if folder.is_dir() else None
    try:
        return None if data is None else dict(json.loads(data)["files"])
    except (ValueError, KeyError, TypeError):
        return None


def _path(out: str) -> Path:
    """Behind links: a link stays, and so the disk that it leads to."""
    return Path(storage.real(out))
