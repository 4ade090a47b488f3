"""What a dataset's README says of its files: the `configs:` of its YAML front matter.

They are read as Hugging Face `datasets` reads them (utils/metadata.py, data_files.py): a
configuration has `data_files`, a pattern, a list of them, or a list of {split, path}; or else all
files in its `data_dir`. Patterns are those of fsspec: `*` stays inside a folder, `**` does not.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from fsspec.utils import glob_translate

from colintern import storage
from colintern.data.names import num_hidden
from colintern.errors import DatasetError, one_line

CARD = "README.md"
_FRONT_MATTER = re.compile(r"\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class CardConfig:
    """A configuration of a dataset's README.

    Attributes:
        name: as the README has it.
        is_default: whether it is taken when none is chosen.
        files: paths inside the dataset, each with the split that the README gives it, or None.
    """

    name: str
    is_default: bool
    files: tuple[tuple[str, str | None], ...]


def read_card(card: str, files: Sequence[str]) -> list[CardConfig]:
    """The configurations that a README lists; an empty list if it lists none.

    Args:
        card: the README's path.
        files: the data files of the dataset, as paths inside it.

    Raises:
        DatasetError: its front matter is not YAML, or its `configs:` are not what `datasets` takes.
    """
    text = storage.read_bytes(card).decode("utf-8", "replace")
    front_matter = _FRONT_MATTER.match(text)
    if front_matter is None:
        return []
    try:
        # Plain strings: a language `no` and a year are names here, not false and a number.
        document = yaml.load(front_matter[1], Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise DatasetError(
            f"{card}: its front matter is not YAML ({one_line(error)}); correct it"
        ) from None
    entries = document.get("configs") if isinstance(document, dict) else None
    if not entries:
        return []
    if not isinstance(entries, list):
        raise _unreadable(card, entries)
    return [_config(card, entry, files) for entry in entries]


def _config(card: str, entry: Any, files: Sequence[str]) -> CardConfig:
    if not isinstance(entry, dict) or not isinstance(entry.get("config_name"), str):
        raise _unreadable(card, entry)
    found: list[tuple[str, str | None]] = []
    for split, patterns in _patterns(card, entry):
        for pattern in patterns:
            found += [(file, split) for file in _matching(card, pattern, files)]
    return CardConfig(
        entry["config_name"],
        str(entry.get("default")).lower() == "true",
        tuple(dict.fromkeys(found)),
    )


def _patterns(card: str, entry: dict[str, Any]) -> list[tuple[str | None, list[str]]]:
    """Splits, each with its patterns; None for a split without a name."""
    data_files = entry.get("data_files")
    if data_files is None:
        folder = str(entry.get("data_dir") or "").removeprefix("./").strip("/")
        return [(None, [f"{folder}/**" if folder else "**"])]
    if isinstance(data_files, str):
        return [(None, [data_files])]
    if not isinstance(data_files, list):
        raise _unreadable(card, entry)
    if all(isinstance(item, str) for item in data_files):
        return [(None, data_files)]
    found = []
    for item in data_files:
        paths = item.get("path") if isinstance(item, dict) else None
        paths = [paths] if isinstance(paths, str) else paths
        is_good = isinstance(paths, list) and all(isinstance(path, str) for path in paths)
        if not is_good or not isinstance(item.get("split"), str):
            raise _unreadable(card, entry)
        found.append((item["split"], paths))
    return found


def _matching(card: str, pattern: str, files: Sequence[str]) -> list[str]:
    """The files that a pattern matches; hidden ones only if the pattern names what hides them."""
    pattern = pattern.removeprefix("./")
    try:
        matcher = re.compile(glob_translate(pattern))
    except ValueError as error:
        raise DatasetError(f"{card}: the pattern {pattern} cannot be read ({error})") from None
    hidden = num_hidden(pattern)
    return [file for file in files if matcher.match(file) and num_hidden(file) == hidden]


def _unreadable(card: str, entry: Any) -> DatasetError:
    return DatasetError(
        f"{card}: its configs cannot be read: {entry}; each has a config_name, and data_files (a "
        "pattern, a list of them, or a list of {split, path}) or a data_dir"
    )
