"""The Debian packages with the documents to learn from: fetched, unpacked, and what is in them."""

import csv
import gzip
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from colintern.errors import UserError
from colintern.log import say

_TABLE = Path(__file__).with_name("packages.tsv")
_FONTS = (".ttf", ".otf", ".t1", ".pfb")
_KEPT = (".pdf", ".html", ".htm", ".css", ".png", ".jpg", *_FONTS)
_COMMAND_SECONDS = 600
Kind = Literal["tex", "document", "font", "words", "held"]


@dataclass(frozen=True)
class Package:
    """A package of Debian's main archive, which has only free software.

    Attributes:
        name: of the package.
        kind: `tex` documents, other `document`s, `font`s, lists of `words`; `held` ones are never
            trained on: the demo of real pages has them.
        licence: the class of the licence that most of its files have.
    """

    name: str
    kind: Kind
    licence: str


def packages(*kinds: Kind) -> list[Package]:
    """The packages of the list in this folder, in its order."""
    with _TABLE.open(newline="") as file:
        rows = csv.reader(file, delimiter="\t")
        next(rows)
        found = [Package(name, kind, licence) for name, kind, licence in rows]  # pyright: ignore
    return [package for package in found if package.kind in kinds]


def check_programs() -> None:
    """Make sure that packages can be fetched.

    Raises:
        UserError: this is no Debian, nor made of it.
    """
    if missing := [name for name in ("apt-get", "dpkg") if shutil.which(name) is None]:
        raise UserError(f"{' and '.join(missing)}: not found; what is fetched are Debian packages")


def fetch(package: Package, folder: Path) -> Path | None:
    """Download and unpack a package, unless it is there.

    Args:
        package: by apt-get, in the version that this machine's Debian has.
        folder: where the unpacked packages are.

    Returns:
        Where its documents, pictures and fonts are; None if there is no such package.

    Raises:
        UserError: this is no Debian, nor made of it.
    """
    unpacked = folder / package.name
    if unpacked.exists():
        return unpacked
    check_programs()
    fresh = folder / f"{package.name}.fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    if _run(["apt-get", "download", "-qq", package.name], fresh):
        say("packages", "%s is not there", package.name)
        shutil.rmtree(fresh)
        return None
    (archive,) = fresh.glob("*.deb")
    if _run(["dpkg", "-x", archive.name, "files"], fresh):
        raise RuntimeError(f"{archive}: cannot be unpacked")
    _prune(fresh / "files")
    (fresh / "version").write_text(archive.stem)
    archive.unlink()
    fresh.rename(unpacked)
    return unpacked


def _run(command: list[str], folder: Path) -> int:
    return subprocess.run(
        command, cwd=folder, stderr=subprocess.DEVNULL, timeout=_COMMAND_SECONDS, check=False
    ).returncode


def _prune(folder: Path) -> None:
    """Keep what is needed, and unpack it."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.is_symlink():
            continue
        is_packed = path.suffix == ".gz"
        name = path.with_suffix("") if is_packed else path
        is_kept = name.suffix.lower() in _KEPT or "dict" in path.relative_to(folder).parts
        if not is_kept:
            path.unlink()
        elif is_packed:
            name.write_bytes(gzip.decompress(path.read_bytes()))
            path.unlink()


def files(folder: Path, *endings: str) -> Iterator[Path]:
    """The files in a folder that end so, in one order; links are left out."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in endings and path.is_file() and not path.is_symlink():
            yield path


def link_fonts(unpacked: Path, folder: Path) -> None:
    """Put a package's fonts into a folder of fonts alone, which Chromium can read in a second."""
    for path in files(unpacked, *_FONTS):
        target = folder / unpacked.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.hardlink_to(path)
