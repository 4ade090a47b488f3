"""What there is to ingest: files by kind, with names that become document ids."""

import os
import posixpath
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from colintern import storage
from colintern.data.text import bad_id_reason
from colintern.errors import DatasetError
from colintern.ingestion.findings import BadItem, counted

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".gif")


@dataclass(frozen=True)
class SourceFile:
    """A file to read.

    Attributes:
        path: where it is read, local or URL.
        name: its path inside the source folder, with slashes: the document id of its pages.
        kind: what it is by its name.
        version: changes when the file does, as far as its state shows.
        num_bytes: its size; 0 if it is unknown.
    """

    path: str
    name: str
    kind: Literal["pdf", "picture"]
    version: str
    num_bytes: int = 0

    @property
    def may_have_pages(self) -> bool:
        """Whether there may be more than one, to be counted: in PDFs, and in TIFFs by name."""
        return self.name.lower().endswith((".pdf", ".tif", ".tiff"))

    def page_id(self, number: int, num_pages: int) -> str:
        """The id of its page `number`, from 1: just the name for a picture of one page."""
        if self.kind == "picture" and num_pages == 1:
            return self.name
        return f"{self.name}#{number:04d}"


@dataclass(frozen=True)
class Sources:
    """What there is in the sources.

    Attributes:
        files: to be drawn, sorted by name.
        bad: what cannot be read, or must not be, as links that lead out of their folder.
        skipped: files of other kinds, counted as by `count_by_kind`.
    """

    files: list[SourceFile]
    bad: list[BadItem]
    skipped: dict[str, int]


def prefixes_of(paths: Sequence[str]) -> dict[str, str]:
    """From each source, as `storage.real` calls it, to what the names of its files begin with.

    With several sources this is each one's own last part, with one it is nothing.
    """
    last_parts = {
        storage.real(path): posixpath.basename(storage.absolute(path).rstrip("/")) for path in paths
    }
    return last_parts if len(paths) > 1 else dict.fromkeys(last_parts, "")


def find_sources(paths: Sequence[str], prefixes: Mapping[str, str] | None = None) -> Sources:
    """All PDFs and pictures at `paths`: files, or folders with all folders inside them.

    Hidden files are skipped: systems keep thumbnails and deleted files under such names.

    Args:
        paths: local or URLs.
        prefixes: what names begin with, of sources that an earlier ingest knows; others as in
            `prefixes_of`.

    Raises:
        DatasetError: a path does not exist, two files have one name, or there is nothing to do.
    """
    files: list[SourceFile] = []
    bad: list[BadItem] = []
    others: list[str] = []
    chosen = {**prefixes_of(paths), **(prefixes or {})}
    for path in (storage.absolute(path) for path in paths):
        folder = chosen[storage.real(path)]
        for file, inner, reason in _walk(path):
            prefix = folder if file != path else ""
            name = posixpath.join(prefix, inner)
            kind = kind_of(file)
            if _is_hidden(inner) and file != path:
                others.append(inner)
                continue
            if not _is_utf8(name):
                name = name.encode("utf-8", "backslashreplace").decode()
                reason = "its name is not UTF-8: rename it"
            elif kind and (character := bad_id_reason(name)):
                reason = f"its name has {character}: rename it"
            elif kind and not reason:
                reason = _bad_file_reason(file, path)
            if reason:
                bad.append(BadItem(name, None, reason))
            elif kind:
                version, num_bytes = storage.version_of(file), storage.listed_size_of(file)
                files.append(SourceFile(file, name, kind, version, num_bytes))
            else:
                others.append(inner)
    skipped = count_by_kind(others)
    _check_found(paths, files, bad, skipped)
    return Sources(sorted(files, key=lambda file: file.name), bad, skipped)


def _check_found(
    paths: Sequence[str],
    files: Sequence[SourceFile],
    bad: Sequence[BadItem],
    skipped: Mapping[str, int],
) -> None:
    names = Counter(file.name for file in files)
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice:
        raise DatasetError(f"two sources have a file {twice}; ingest them into two datasets")
    if not files and not bad:
        others = f", only {counted(skipped)}" if skipped else ""
        raise DatasetError(f"{', '.join(paths)}: contains no PDF and no picture{others}")


def count_by_kind(names: Iterable[str]) -> dict[str, int]:
    """How many files there are of every kind, the most frequent first.

    Args:
        names: with the folders inside the source.

    Returns:
        From each ending of a name to a count; PDFs and pictures count as `hidden`.
    """
    kinds = Counter()
    for name in names:
        stem, ending = posixpath.splitext(posixpath.basename(name))
        kind = ending.lower() or (stem if stem.startswith(".") else "without an ending")
        kinds["hidden" if kind_of(name) and _is_hidden(name) else kind] += 1
    return dict(sorted(kinds.items(), key=lambda item: (-item[1], item[0])))


def _is_hidden(name: str) -> bool:
    """Whether the name of a file, or of a folder on the way to it, begins with one dot.

    Two dots do not hide it, as downloads write `../` into a name. Nor does an underscore, which
    hides parquet files only: it is common in the names of documents.
    """
    return any(part.startswith(".") and not part.startswith("..") for part in name.split("/"))


def _walk(path: str) -> Iterator[tuple[str, str, str | None]]:
    """Every file at `path`: its path, its name inside the folder, and why it is bad, or None."""
    if storage.is_local(path):
        yield from _walk_local(storage.local_path(path))
        return
    found = storage.find_files(path)
    if not found and not storage.exists(path):
        raise DatasetError(f"{path}: no such file or folder")
    for file in found or [path]:
        yield file, file.removeprefix(path).strip("/") or posixpath.basename(path), None


def _walk_local(root: Path) -> Iterator[tuple[str, str, str | None]]:
    if not root.is_dir():
        if not root.exists():
            raise DatasetError(f"{root}: no such file or folder")
        yield str(root), root.name, None
        return
    closed: list[OSError] = []
    for folder, folders, names in os.walk(root, onerror=closed.append):
        for name in names:
            yield str(Path(folder) / name), _inside(root, folder, name), None
        for name in folders:
            if (Path(folder) / name).is_symlink():
                reason = "a link to a folder: links are not followed"
                yield str(Path(folder) / name), _inside(root, folder, name), reason
    for error in closed:
        yield error.filename, _inside(root, error.filename), f"cannot be read ({error.strerror})"


def _inside(root: Path, *parts: str) -> str:
    return Path(*parts).relative_to(root).as_posix()


def kind_of(file: str) -> Literal["pdf", "picture"] | None:
    """What a file is by its name; None if it is neither a PDF nor a picture."""
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


def _bad_file_reason(file: str, root: str) -> str | None:
    """Why a file is bad, in a few words; None if nothing is wrong with it from outside.

    It is not opened: opening a named pipe would wait for a writer.
    """
    if not storage.is_local(file):
        return None
    real, inside = os.path.realpath(file), os.path.realpath(root)
    if real != inside and not real.startswith(inside + os.sep):
        return "a link that leads out of the folder"
    try:
        mode = os.stat(file).st_mode
    except FileNotFoundError:
        return "a link to nothing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None if stat.S_ISREG(mode) else "neither a file nor a folder"
