"""Which layout a folder of parquet files has, told from its file list and columns.

Three are known:

- *canonical*: `corpus/`, `queries/`, `qrels/` with parquet files right inside, of one split. It is
  read where it stands.
- *beir*: the same three parts somewhere in the names of folders or files, of one or more splits,
  as ViDoRe v1 and v2 (hyphens), v3 (underscores) and exports of them have it.
- *rows*: one row a question with its page image, as vidore/colpali_train_set and the ViDoRe v1
  question-answering sets have it. `query` may be null: a page without a question.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from colintern import log, storage
from colintern.data.canonical import DATASET_DONE, INGEST_BEGUN, PARTS
from colintern.data.parquet import open_parquet, spellings
from colintern.errors import DatasetError

Kind = Literal["canonical", "beir", "rows"]
_SPLIT = re.compile(r"(train|dev|validation|test)(?=[-_./]|$)")


@dataclass(frozen=True)
class Layout:
    """A folder's layout and its files.

    Attributes:
        kind: which of the three.
        parts: `corpus`, `queries`, `qrels` to their files; `rows` to all files.
    """

    kind: Kind
    parts: dict[str, list[str]]


def find_layout(path: str, split: str | None, wanted: str = "auto") -> Layout:
    """Look at a folder; its file list is taken once.

    Args:
        path: folder or URL.
        split: the files of which split, for a folder with several.
        wanted: the layout it must have, or `auto`.

    Raises:
        DatasetError: no parquet files, those of an ingest that has not come to its end, a layout
            that is not known or not the wanted one, or several splits of which none is chosen.
    """
    everything = storage.find_files(path)
    _check_finished(path, everything)
    files = [file for file in everything if file.endswith(".parquet")]
    if not files and not storage.exists(path):
        raise DatasetError(f"{path}: no such file or folder")
    if not files:
        raise DatasetError(
            f"{path}: no parquet files; a dataset has corpus/, queries/ and qrels/, or rows with a "
            "query and an image (PDFs and pictures: colintern ingest makes a dataset of them)"
        )
    if split and not any(_split_of(file.removeprefix(path)) for file in files):
        log.warn_once("data", f"{path}: split: {split} has no effect: no file is named by a split")
    parts = {part: [file for file in files if _part_of(file, path) == part] for part in PARTS}
    if all(parts.values()):
        chosen = {part: _of_split(found, path, split) for part, found in parts.items()}
        is_in_place = chosen == parts and all(
            file.rsplit("/", 1)[0] == storage.join(path, part)
            for part, found in parts.items()
            for file in found
        )
        layout = Layout("canonical" if is_in_place else "beir", chosen)
    else:
        rows = _of_split(files, path, split)
        columns = spellings(open_parquet(rows[0], []).schema_arrow)
        if "image" not in columns or "query" not in columns:
            missing = [part for part, found in parts.items() if not found]
            raise DatasetError(
                f"{path}: not a known layout: it has no {', '.join(missing)} files, and "
                f"{rows[0]} lacks the columns 'image' and 'query' (it has: {', '.join(columns)})"
            )
        layout = Layout("rows", {"rows": rows})
    if wanted not in ("auto", layout.kind):
        raise DatasetError(f"{path}: its layout is {layout.kind}, not format: {wanted}")
    return layout


def _check_finished(path: str, files: Sequence[str]) -> None:
    """Refuse the folder of an ingest that was interrupted: some of its pages may be missing."""
    begun, done = (storage.join(path, name) for name in (INGEST_BEGUN, DATASET_DONE))
    if begun in files and done not in files:
        raise DatasetError(
            f"{path}: its ingest has not come to its end; run the same 'colintern ingest ... "
            f"--out {path}' again, which goes on where it was, or wait for the one that runs"
        )


def _part_of(file: str, root: str) -> str | None:
    """The part that a folder's name, or the beginning of the file's name, speaks of."""
    *folders, name = file.removeprefix(root).strip("/").split("/")
    stem = re.split(r"[-.]", name)[0]
    return next((part for part in PARTS if part in folders or part == stem), None)


def _of_split(files: Sequence[str], root: str, split: str | None) -> list[str]:
    """The files of one split; those whose names speak of none belong to all."""
    named = {file: _split_of(file.removeprefix(root)) for file in files}
    splits = sorted({name for name in named.values() if name})
    if split is None and len(splits) > 1:
        raise DatasetError(
            f"{root}: holds several splits ({', '.join(splits)}); choose one: "
            f"{{path: {root}, split: {splits[0]}}}"
        )
    chosen = split or (splits[0] if splits else None)
    kept = [file for file, name in named.items() if name in (None, chosen)]
    if not kept:
        raise DatasetError(f"{root}: has no split {chosen}; it has {', '.join(splits)}")
    return kept


def _split_of(name: str) -> str | None:
    """The split in a file's path: at the beginning of its name, behind the part, or a folder."""
    pieces = [piece for piece in re.split(r"[/\-.]", name) if piece]
    found = (piece for piece in reversed(pieces) if _SPLIT.fullmatch(piece))
    piece = next(found, None)
    return "dev" if piece == "validation" else piece
