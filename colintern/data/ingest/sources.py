"""What there is to ingest: files by kind, with names that become document ids."""

import os
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from colintern import storage
from colintern.data.ingest.findings import Refusal
from colintern.errors import DatasetError

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".gif")


@dataclass(frozen=True)
class SourceFile:
    """A file to read.

    Attributes:
        path: where it is read, local or URL.
        name: its path inside the source folder, with slashes: the document id of its pages.
        kind: what it is by its name.
        version: changes when the file does, as far as can be told without reading it.
    """

    path: str
    name: str
    kind: Literal["pdf", "picture"]
    version: str

    @property
    def may_have_pages(self) -> bool:
        """Whether there may be more than one, to be counted: in PDFs, and in TIFFs by name."""
        return self.name.lower().endswith((".pdf", ".tif", ".tiff"))


def find_sources(paths: Sequence[str]) -> tuple[list[SourceFile], list[Refusal]]:
    """All PDFs and pictures at `paths`, files or folders (searched through), sorted by name.

    Args:
        paths: local or URLs. With several, names begin with each one's own last part.

    Returns:
        The files, and what was refused: links that lead out of their folder.

    Raises:
        DatasetError: a path does not exist, two files have one name, or there is nothing to do.
    """
    files: list[SourceFile] = []
    refusals: list[Refusal] = []
    for path in (storage.absolute(path) for path in paths):
        folder = posixpath.basename(path.rstrip("/"))
        for file, inner in _walk(path):
            prefix = folder if len(paths) > 1 and file != path else ""
            kind = kind_of(file)
            name = posixpath.join(prefix, inner)
            if not _is_utf8(name):
                shown = name.encode("utf-8", "backslashreplace").decode()
                refusals.append(Refusal(shown, None, "its name is not UTF-8: rename it"))
                continue
            if storage.is_local(file) and os.path.isdir(file):
                refusals.append(Refusal(name, None, "a link to a folder: links are not followed"))
                continue
            if kind is None:
                continue
            if storage.is_local(file) and _leads_out(file, path):
                refusals.append(Refusal(name, None, "a link that leads out of the folder"))
                continue
            files.append(SourceFile(file, name, kind, storage.version_of(file)))
    names = [file.name for file in files]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DatasetError(f"two sources hold a file {twice}; ingest them into two datasets")
    if not files and not refusals:
        raise DatasetError(f"{', '.join(paths)}: no PDF and no picture in there")
    return sorted(files, key=lambda file: file.name), refusals


def _walk(path: str) -> Iterator[tuple[str, str]]:
    """Every file at `path`, and every link to a folder, with its name inside the folder."""
    if storage.is_local(path):
        root = storage.local_path(path)
        if root.is_file():
            yield str(root), root.name
        elif root.is_dir():
            for folder, folders, names in os.walk(root):
                links = [name for name in folders if (Path(folder) / name).is_symlink()]
                for name in [*names, *links]:
                    file = Path(folder) / name
                    yield str(file), file.relative_to(root).as_posix()
        else:
            raise DatasetError(f"{path}: no such file or folder")
        return
    found = storage.find_files(path)
    if not found and not storage.exists(path):
        raise DatasetError(f"{path}: no such file or folder")
    for file in found or [path]:
        yield file, file.removeprefix(path).strip("/") or posixpath.basename(path)


def kind_of(file: str) -> Literal["pdf", "picture"] | None:
    """What a file is by its name; None when it is nothing that can be drawn."""
    name = file.lower()
    if name.endswith(".pdf"):
        return "pdf"
    return "picture" if name.endswith(PICTURE_SUFFIXES) else None


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _leads_out(file: str, root: str) -> bool:
    """Whether `file` is a link to somewhere outside of the source folder, or to nothing."""
    real = os.path.realpath(file)
    inside = os.path.realpath(root)
    is_inside = real == inside or real.startswith(inside + os.sep)
    return not is_inside or not os.path.exists(real)
