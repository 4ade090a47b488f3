"""The configurations of a dataset folder: which files are one dataset, and which are another.

A README with `configs:` decides. Otherwise every subfolder that holds a whole layout is a
configuration, and the files at the top are one without a name, which is preferred. Some published
configurations are only the parts of one dataset (`corpus`, `queries`, `qrels`, as in ViDoRe), or
the parts of one of several (`english-queries`): the name of a part, or of a split, is no
configuration. What several configurations share, such as a corpus, stands in a folder around them
or has no configuration in its name. Folders inside the parts (`corpus/2024/`) are configurations
when queries and qrels have the same ones; otherwise they only divide a part.
"""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from colintern import log, storage
from colintern.data.dataset_card import CARD, CardConfig, read_card
from colintern.data.names import is_hidden, is_split_name, split_called, split_in
from colintern.errors import DatasetError

TOP = ""  # the configuration without a name
_DEFAULT = "default"  # what `datasets` calls it
_NAMED_PART = re.compile(
    r"(?:(?P<before>.+)[-_])?(?P<part>corpus|queries|qrels)(?:[-_](?P<after>.+))?"
)


@dataclass(frozen=True)
class DataFile:
    """A parquet file of a dataset, and what its name or a README says of it.

    Attributes:
        path: full path or URL.
        part: `corpus`, `queries` or `qrels`; None when nothing says so.
        configuration: the one that it belongs to, if the dataset has parts.
        rows_configuration: the one that it belongs to, if the dataset has rows.
        split: train, dev or test; or another name from a README; None for no split.
    """

    path: str
    part: str | None
    configuration: str
    rows_configuration: str
    split: str | None


@dataclass(frozen=True)
class DataFiles:
    """The parquet files of a folder.

    Attributes:
        path: the folder.
        files: those that are data.
        default: the one that a README marks as the default; None for none.
    """

    path: str
    files: tuple[DataFile, ...]
    default: str | None = None

    def choose(self, names: Iterable[str], asked: str | None) -> str:
        """The configuration to take, one of `names`; a warning lists the others.

        Args:
            names: configurations that hold a whole layout.
            asked: the one that the user wants; None takes the README's default, the one at the top,
                or the only one.

        Raises:
            DatasetError: there is none of that name, or there are several and none was chosen.
        """
        names = sorted(names)
        named = [name for name in names if name != TOP]
        if asked is not None:
            wanted = TOP if asked == _DEFAULT and TOP in names else asked
            if wanted in names:
                return wanted
            there = f"it has {', '.join(named)}" if named else "it has only one: leave config out"
            raise DatasetError(f"{self.path}: has no configuration {asked}; {there}")
        if self.default in names:
            chosen = self.default
        elif TOP in names or len(names) == 1:
            chosen = names[0]
        else:
            raise DatasetError(
                f"{self.path}: has several configurations ({', '.join(names)}); choose one: "
                f"{{path: {self.path}, config: {names[0]}}}, or --config {names[0]} of init "
                "and ingest; or join them with configs: in its "
                f"{CARD}"
            )
        if others := [name for name in named if name != chosen]:
            log.warn_once(
                "data",
                f"{self.path}: takes {chosen or 'the files at its top'}; its other configurations "
                f"are left out: {', '.join(others)} (config: {others[0]} takes that one)",
            )
        return chosen


def find_data_files(path: str, everything: Sequence[str]) -> DataFiles:
    """The data files of a folder, with their parts, configurations and splits.

    Args:
        path: the folder, or one parquet file.
        everything: all files in it.

    Raises:
        DatasetError: its README cannot be read.
    """
    inner = {_inside(file, path): file for file in everything if file.endswith(".parquet")}
    card = storage.join(path, CARD)
    configs = read_card(card, list(inner)) if card in everything else []
    if not any(config.files for config in configs):
        seen = {name: file for name, file in inner.items() if file == path or not is_hidden(name)}
        shared = _of_several_parts(seen)
        return DataFiles(path, tuple(_by_path(name, file, shared) for name, file in seen.items()))
    files = tuple(
        _by_card(config, name, inner[name], split)
        for config in configs
        for name, split in config.files
    )
    defaults = (_without_part(config.name)[1] for config in configs if config.is_default)
    return DataFiles(path, files, next(defaults, None))


def whole_layouts(files: Sequence[DataFile]) -> dict[str, dict[str, list[DataFile]]]:
    """From each configuration with all three parts to its files; shared parts are from around it.

    If none is whole, and each part exists exactly once, these are one dataset.
    """
    own: dict[str, dict[str, list[DataFile]]] = {}
    for file in files:
        if file.part is not None:
            own.setdefault(file.configuration, {}).setdefault(file.part, []).append(file)
    parts = {part for found in own.values() for part in found}
    if len(parts) < 3:
        return {}
    around = {name: _with_shared(name, own) for name in own}
    whole = {name: found for name, found in around.items() if found.keys() == parts}
    if not whole and sum(map(len, own.values())) == len(parts):
        return {TOP: {part: files for found in own.values() for part, files in found.items()}}
    return whole


def rows_by_configuration(files: Sequence[DataFile]) -> dict[str, list[DataFile]]:
    """From each configuration to its files, for a dataset of rows."""
    found: dict[str, list[DataFile]] = {}
    for file in files:
        found.setdefault(file.rows_configuration, []).append(file)
    return found


def _with_shared(
    name: str, own: Mapping[str, Mapping[str, list[DataFile]]]
) -> dict[str, list[DataFile]]:
    """The parts of a configuration; those that it lacks are taken from the folders around it."""
    found: dict[str, list[DataFile]] = {}
    while True:
        found = {**own.get(name, {}), **found}
        if name == TOP:
            return found
        name = name.rpartition("/")[0]


def _inside(file: str, path: str) -> str:
    return file.removeprefix(path).strip("/") or file.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class _Folders:
    """What a file's folders say: its part, and the folders around that part and inside it."""

    part: str | None
    around: tuple[str, ...]
    inside: tuple[str, ...]


def _read_folders(name: str) -> _Folders:
    part: str | None = None
    around: list[str] = []
    inside: list[str] = []
    for folder in name.split("/")[:-1]:
        if is_split_name(folder):
            continue
        if part is not None:
            inside.append(folder)
            continue
        part, rest = _without_part(folder)
        around += [rest] if rest else []
    return _Folders(part, tuple(around), tuple(inside))


def _of_several_parts(names: Iterable[str]) -> frozenset[tuple[str, ...]]:
    """The folders inside parts that are configurations: those that queries and qrels share.

    If these are in different folders there are none: questions or judgements would be lost.
    """
    found: dict[str | None, set[tuple[str, ...]]] = {}
    for folders in map(_read_folders, names):
        found.setdefault(folders.part, set()).add(folders.inside)
    queries, qrels = found.get("queries", set()), found.get("qrels", set())
    return frozenset(queries) if queries == qrels else frozenset()


def _by_path(name: str, file: str, shared: Container[tuple[str, ...]] = ()) -> DataFile:
    """A file by its path inside the dataset; `shared` comes from `_of_several_parts`."""
    *folders, last = name.split("/")
    told = _read_folders(name)
    in_name, rest = _without_part(re.split(r"[-.]", last)[0])
    part = told.part or (None if rest else in_name)
    pieces = (*told.around, *(told.inside if told.inside in shared else ()))
    rows = [folder for folder in folders if not is_split_name(folder)]
    return DataFile(file, part, "/".join(pieces), "/".join(rows), split_in(name))


def _by_card(config: CardConfig, name: str, file: str, split: str | None) -> DataFile:
    """A file by its configuration in a README, and by its path for what the README does not say.

    `split` is the README's name.
    """
    by_path = _by_path(name, file)
    named = TOP if config.name == _DEFAULT else config.name
    part, rest = _without_part(named)
    split = by_path.split if split is None else split_called(split) or split
    return DataFile(file, part or by_path.part, rest, named, split)


def _without_part(name: str) -> tuple[str | None, str]:
    """The part in the name of a folder or configuration, and the rest of the name.

    `english-queries` are the queries of `english`; `queries_test` are queries.
    """
    found = _NAMED_PART.fullmatch(name)
    if found is None:
        return None, name
    rest = [word for word in (found["before"], found["after"]) if word and not is_split_name(word)]
    return found["part"], "-".join(rest)
