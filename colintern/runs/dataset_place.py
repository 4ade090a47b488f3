"""How records call the place of a dataset, and whether another place is that of the same dataset.

Records call a dataset that stands in one root with its features by its path below that root: so it
keeps its name when the root is moved, copied or linked. Any other one is called by its whole path,
as all were by earlier versions; it is known again by what it holds.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from colintern import storage
from colintern.config.schema import Config
from colintern.errors import StorageError
from colintern.records import Inputs, Record, fingerprint

DATASET_PATH = "dataset_path"  # among the inputs of a store, and of a basis
FILE_HASH = "dataset_sha256."  # before the name of a file, or `corpus`
_DATASET_STATE = (FILE_HASH, "dataset_content")  # inputs that are no part of a store's name


def place_of(path: str, config: Config) -> str:
    """What new records call the dataset at `path`."""
    root = storage.absolute(config.run.root)
    is_one_root = storage.inside(config.features_root, root) is not None
    return (storage.inside(path, root) if is_one_root else None) or path


def is_place_of(recorded: str, path: str, features_root: str) -> bool:
    """Whether what a record says of a dataset means `path`, without a look into the dataset.

    Args:
        recorded: as `place_of` gives it, or the whole path by an earlier version.
        path: where a dataset stands now.
        features_root: where the features stand now that the record is about.
    """
    if recorded == path:
        return True
    if storage.is_relative(recorded):
        root = path.removesuffix(f"/{recorded}")
        return root != path and storage.inside(features_root, root) is not None
    # The root had another name when an earlier version wrote the whole path, if all is as it was
    # inside; unless the dataset is still there, and this is another one.
    below = _below_the_same_root(path, features_root)
    return below is not None and recorded.endswith(f"/{below}") and not _is_there(recorded)


def identity_of(record: Record) -> dict[str, Any]:
    """Of the inputs of an encoding those that name the store; the others say what it holds."""
    inputs = record.inputs.items()
    return {name: value for name, value in inputs if not name.startswith(_DATASET_STATE)}


def differs_in_place_only(recorded: Inputs, inputs: Inputs) -> bool:
    """Whether two say the same of everything but the place of the dataset."""
    own, theirs = ({**one, DATASET_PATH: None} for one in (recorded, inputs))
    return fingerprint(own) == fingerprint(theirs)


def place_like(
    record: Record | None,
    inputs: Inputs,
    path: str,
    features_root: str,
    holds_the_same: Callable[[Inputs], bool],
) -> Inputs:
    """`inputs` in which the dataset is called as a record calls it, if it is the same dataset.

    Args:
        record: of an encoding, or a basis; None where there is none.
        inputs: those of today.
        path: where the dataset stands now.
        features_root: where the features stand now that the record is about.
        holds_the_same: told the inputs as the record calls them, when only their place differs;
            whether the dataset holds what is recorded.
    """
    recorded = record.inputs.get(DATASET_PATH) if record else None
    if record is None or recorded is None or recorded == inputs[DATASET_PATH]:
        return inputs
    like = {**inputs, DATASET_PATH: recorded}
    if is_place_of(recorded, path, features_root):
        return like
    is_known = differs_in_place_only(identity_of(record), inputs) and holds_the_same(like)
    return like if is_known else inputs


def _below_the_same_root(path: str, other: str) -> str | None:
    """The part of `path` below the nearest folder that both stand in; None without such a one."""
    root = other.rpartition("/")[0]
    while root:
        if (below := storage.inside(path, root)) is not None:
            return below
        root = root.rpartition("/")[0]
    return None


def _is_there(path: str) -> bool:
    with suppress(StorageError):  # a bucket of before that nobody may read any more
        return storage.exists(path)
    return False
