"""From what a configuration names to a canonical folder that the rest of ColIntern reads.

A canonical folder is read where it stands. Any other layout, a choice of language or split, a
dataset on the Hub, and a corpus in row groups that are too large to pick pages from are brought
into a canonical folder once; the source is only read.
"""

import re

from colintern import log, storage
from colintern.config import DatasetConfig
from colintern.data.canonical import largest_row_group_bytes
from colintern.data.importing import import_dataset
from colintern.data.layouts import Layout, find_layout
from colintern.errors import DatasetError

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_DONE = "dataset.json"
# Every worker reads pages out of row groups again and again, and may have to hold two such groups.
_ROW_GROUP_BYTES = 256 * 2**20


def source_url(dataset: DatasetConfig) -> str:
    """Where the dataset is read from: an absolute path or a URL, with the revision pinned.

    Raises:
        DatasetError: a Hub dataset without a revision.
    """
    path = dataset.path.rstrip("/")
    is_hub_id = _HUB_ID.fullmatch(path) and not storage.exists(path)
    if is_hub_id and dataset.revision:
        path = f"hf://datasets/{path}"
    if is_hub_id and not dataset.revision:
        raise DatasetError(
            f"{path}: no such folder; a Hub dataset needs a pinned commit: "
            f"{{path: {path}, revision: <commit>}}"
        )
    if not path.startswith("hf://"):
        return storage.absolute(path)
    if dataset.revision and "@" not in path:
        return f"{path}@{dataset.revision}"
    if "@" not in path:
        raise DatasetError(
            f"{dataset.path}: a Hub dataset needs a pinned commit: "
            f"{{path: {dataset.path}, revision: <commit>}}"
        )
    return path


def canonical_folder(dataset: DatasetConfig, root: str) -> str:
    """The canonical folder of a dataset, made inside `root` first where it must be.

    The caller holds the lease of `root`.

    Args:
        dataset: not a built-in one.
        root: where folders that are made here stand; they are shared between runs.

    Raises:
        DatasetError: the source is missing or has no known layout.
    """
    source = source_url(dataset)
    layout = find_layout(source, dataset.split, dataset.format)
    if _stays_in_place(source, layout, dataset):
        return source
    folder = storage.join(root, f"{dataset.name}-{_fingerprint(source, layout, dataset)[:8]}")
    if not storage.exists(storage.join(folder, _DONE)):
        log.say("data", "bringing %s (%s layout) into %s", source, layout.kind, folder)
        counts = import_dataset(layout, folder, dataset.language)
        storage.write_json(
            storage.join(folder, _DONE), {"source": source, "layout": layout.kind, **counts}
        )
        log.say("data", "%s", "   ".join(f"{name} {count:,}" for name, count in counts.items()))
    return folder


def _stays_in_place(source: str, layout: Layout, dataset: DatasetConfig) -> bool:
    """Whether the source can be read as it is, all of it, and page by page."""
    return (
        layout.kind == "canonical"
        and dataset.language is None
        and not source.startswith("hf://")
        and largest_row_group_bytes(layout.parts["corpus"]) <= _ROW_GROUP_BYTES
    )


def _fingerprint(source: str, layout: Layout, dataset: DatasetConfig) -> str:
    """Changes when files of the source do, as far as can be told without reading them."""
    files = [file for found in layout.parts.values() for file in found]
    parts = [source, layout.kind, str(dataset.language)]
    parts += [f"{file} {storage.version_of(file)}" for file in files]
    return storage.sha256_of_bytes("\n".join(parts).encode())
