"""Which layout a folder of parquet files has, told from its file list and columns.

Three are known:

- *canonical*: `corpus/`, `queries/`, `qrels/` with parquet files right inside, of one split. It is
  read where it stands.
- *beir*: the same three parts somewhere in the names of folders or files, of one or more splits,
  as ViDoRe v1 and v2 (hyphens), v3 (underscores) and exports of them have it.
- *rows*: one row a question with its page image, as vidore/colpali_train_set and the ViDoRe v1
  question-answering sets have it. `query` may be null: a page without a question.

A folder may hold several datasets (`data.configurations`) and several splits (`data.names`). Files
that a choice leaves out, and files of no split beside files of one, are never mixed in; a warning
names them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from colintern import log, storage
from colintern.data.canonical import DATASET_DONE, INGEST_BEGUN, PARTS
from colintern.data.configurations import (
    DataFile,
    DataFiles,
    find_data_files,
    rows_by_configuration,
    whole_layouts,
)
from colintern.data.names import SPLITS, is_hidden, split_called
from colintern.data.parquet import open_parquet, spellings
from colintern.errors import DatasetError

Kind = Literal["canonical", "beir", "rows"]
_ROW_COLUMNS = {"image", "query"}


@dataclass(frozen=True)
class Layout:
    """A folder's layout and its files.

    Attributes:
        kind: which of the three.
        parts: `corpus`, `queries`, `qrels` to their files; `rows` to all files.
        root: the folder that the parts of a canonical one stand in.
        configuration: which one of the folder's it is, where several are taken together.
        beside: the others of these, by name.
    """

    kind: Kind
    parts: dict[str, list[str]]
    root: str = ""
    configuration: str | None = None
    beside: Mapping[str, "Layout"] = field(default_factory=dict)

    def files(self, part: str | None = None) -> list[str]:
        """The files of a part, or of all parts, in all configurations that are taken."""
        own = self.parts.get(part, []) if part else [f for of in self.parts.values() for f in of]
        others = (other.files(part) for other in self.beside.values())
        return [*own, *(file for files in others for file in files)]


def find_layout(
    path: str,
    split: str | None,
    wanted: str = "auto",
    config: str | Sequence[str] | None = None,
) -> Layout:
    """Find the layout of a folder; its files are listed once.

    Args:
        path: folder or URL.
        split: the files of which split, for a folder with several.
        wanted: the layout it must have, or `auto`.
        config: the files of which configuration, for a folder with several; of a list of them,
            those of the first, with the others beside.

    Raises:
        DatasetError: no parquet files, an unfinished ingest, a layout that is unknown or not the
            wanted one, or several configurations or splits of which none is chosen.
    """
    everything = storage.find_files(path)
    _check_finished(path, everything)
    found = find_data_files(path, everything)
    if not found.files and not storage.exists(path):
        raise DatasetError(f"{path}: no such file or folder")
    if not found.files:
        raise DatasetError(
            f"{path}: no parquet files; a dataset has corpus/, queries/ and qrels/, or rows with a "
            "query and an image (PDFs and pictures: colintern ingest makes a dataset of them)"
        )
    split = None if split is None else split_called(split) or split
    if config is None or isinstance(config, str):
        return _layout(found, everything, split, wanted, config)
    layouts = {name: _layout(found, everything, split, wanted, name) for name in config}
    if any(layout.kind == "rows" for layout in layouts.values()):
        raise DatasetError(
            f"{path}: config: {list(config)} takes several configurations together, which only "
            "those with a corpus, queries and qrels can be; choose one"
        )
    first, *others = config
    beside = {name: layouts[name] for name in others}
    return replace(layouts[first], kind="beir", root="", configuration=first, beside=beside)


def _layout(
    found: DataFiles, everything: Sequence[str], split: str | None, wanted: str, config: str | None
) -> Layout:
    """The layout of one configuration, or of a folder that has one only."""
    chosen = _parts_layout(found, everything, split, config)
    layout = chosen or _rows_layout(found, split, config)
    if wanted not in ("auto", layout.kind):
        raise DatasetError(f"{found.path}: its layout is {layout.kind}, not format: {wanted}")
    return layout


def _parts_layout(
    found: DataFiles, everything: Sequence[str], split: str | None, config: str | None
) -> Layout | None:
    """The layout of a folder with a corpus, queries and qrels; None for another."""
    layouts = whole_layouts(found.files)
    if not layouts:
        return None
    chosen = found.choose(layouts, config)
    _say_incomplete(found, layouts)
    parts = {part: layouts[chosen][part] for part in PARTS}
    corpus = parts["corpus"][0].path
    root = found.path if config is None else corpus.rsplit("/", 2)[0]
    is_in_place = _is_canonical(root, parts, everything)
    if split and not any(file.split in SPLITS for files in parts.values() for file in files):
        _say_no_split(found.path, split, is_error=split != "train" and not is_in_place)
        split = None
    splits = {file.split for files in parts.values() for file in files} - {None}
    if is_in_place and split is None and len(splits) < 2:  # one dataset, however files are called
        every = {part: [file.path for file in files] for part, files in parts.items()}
        return Layout("canonical", every, root)
    taken = {part: _of_split(files, found.path, split) for part, files in parts.items()}
    if is_in_place and all(len(taken[part]) == len(parts[part]) for part in PARTS):
        return Layout("canonical", taken, root)
    return Layout("beir", taken)


def _say_incomplete(
    found: DataFiles, layouts: Mapping[str, Mapping[str, Sequence[DataFile]]]
) -> None:
    """Warn of parts that belong to no dataset with all three: nothing reads them."""
    whole = {file.path for parts in layouts.values() for files in parts.values() for file in files}
    lost = [file.path for file in found.files if file.part and file.path not in whole]
    if lost:
        log.warn_once(
            "data",
            f"{found.path}: {len(lost):,} files are left out; their dataset lacks one of corpus, "
            f"queries and qrels: {', '.join(lost[:3])}",
        )


def _is_canonical(
    root: str, parts: Mapping[str, Sequence[DataFile]], everything: Sequence[str]
) -> bool:
    """Whether exactly these files are read when `root` is read where it stands."""
    for part, files in parts.items():
        prefix = f"{storage.join(root, part)}/"
        names = (file.removeprefix(prefix) for file in everything if file.startswith(prefix))
        inside = {name for name in names if "/" not in name and name.endswith(".parquet")}
        visible = {prefix + name for name in inside if not is_hidden(name)}
        if {file.path for file in files} != visible:
            return False
    return True


def _rows_layout(found: DataFiles, split: str | None, config: str | None) -> Layout:
    """The layout of a folder of rows.

    Raises:
        DatasetError: its layout is unknown; or as `find_layout`.
    """
    configurations = rows_by_configuration(found.files)
    of_rows = {name: files for name, files in configurations.items() if _is_of_rows(files[0])}
    if not of_rows:
        raise _unknown_layout(found)
    files = of_rows[found.choose(of_rows, config)]
    if split and not any(file.split in SPLITS for file in files):
        _say_no_split(found.path, split, is_error=split != "train")
        split = None
    return Layout("rows", {"rows": _of_split(files, found.path, split)})


def _is_of_rows(file: DataFile) -> bool:
    return spellings(open_parquet(file.path, []).schema_arrow).keys() >= _ROW_COLUMNS


def _unknown_layout(found: DataFiles) -> DatasetError:
    by_part = {part: [file for file in found.files if file.part == part] for part in PARTS}
    if all(by_part.values()):
        where = {file.configuration or "its top" for files in by_part.values() for file in files}
        return DatasetError(
            f"{found.path}: its corpus, queries and qrels stand apart ({', '.join(sorted(where))}) "
            "and no folder holds all three; put the files of one dataset into one folder"
        )
    missing = [part for part, files in by_part.items() if not files]
    first = found.files[0].path
    columns = spellings(open_parquet(first, []).schema_arrow)
    return DatasetError(
        f"{found.path}: not a known layout: it has no {', '.join(missing)} files, and "
        f"{first} lacks the columns 'image' and 'query' (it has: {', '.join(columns)})"
    )


def _check_finished(path: str, files: Sequence[str]) -> None:
    """Make sure that `path` is no unfinished ingest: some of its pages may be missing."""
    begun, done = (storage.join(path, name) for name in (INGEST_BEGUN, DATASET_DONE))
    if begun in files and done not in files:
        raise DatasetError(
            f"{path}: its ingest is unfinished; run the same 'colintern ingest ... --out {path}' "
            "again to resume it, or wait for the one that is running"
        )


def _of_split(files: Sequence[DataFile], path: str, split: str | None) -> list[str]:
    """The files of one split, of a part or of all rows.

    Files of which none is of train, dev or test belong to every split, as a shared corpus does.
    """
    splits = sorted({file.split for file in files if file.split})
    if split is None and len(splits) > 1:
        known = [name for name in splits if name in SPLITS] or splits
        raise DatasetError(
            f"{path}: has several splits ({', '.join(splits)}); choose one: "
            f"{{path: {path}, split: {known[0]}}}, or --split {known[0]} of init and ingest"
        )
    is_shared = not splits or (len(splits) == 1 and splits[0] not in SPLITS)
    if split is not None and split not in splits and not is_shared:
        raise DatasetError(f"{path}: has no split {split}; it has {', '.join(splits)}")
    chosen = split if split in splits else next(iter(splits), None)
    kept = [file.path for file in files if file.split == chosen]
    left_out = [file.path for file in files if file.split is None and chosen is not None]
    if left_out:
        log.warn_once(
            "data",
            f"{path}: {len(left_out):,} files are left out: no split in their names, beside "
            f"those of {chosen}: {', '.join(name.rsplit('/', 1)[-1] for name in left_out[:3])}",
        )
    return kept


def _say_no_split(path: str, split: str, *, is_error: bool) -> None:
    """A split was asked for, but no file belongs to one; `datasets` takes such files as train."""
    reason = "no file is named by a split"
    if is_error:
        raise DatasetError(f"{path}: has no split {split}: {reason}; remove split")
    log.warn_once("data", f"{path}: split: {split} has no effect: {reason}")
