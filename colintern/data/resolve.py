"""From what a configuration names to a canonical folder that the rest of ColIntern reads.

A canonical folder is read where it stands. Any other layout, a choice of language or split, a
dataset on the Hub, and a corpus in row groups that are too large to pick pages from are brought
into a canonical folder once; the source is only read.
"""

import re

from colintern import log, storage
from colintern.config import DatasetConfig
from colintern.data import hub
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
    if _HUB_ID.fullmatch(path) and not storage.exists(path):
        if not dataset.revision:
            raise DatasetError(
                f"{path}: no such folder; a Hub dataset needs a pinned commit: "
                f"{{path: {path}, revision: <commit>}}"
            )
        path = f"hf://datasets/{path}"
    return hub.pinned_url(path, dataset.revision) if hub.is_url(path) else storage.absolute(path)


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
    if hub.is_url(source):  # a commit stays as it is: what was made of it once is good for ever
        folder = _folder(
            root, dataset, [source, dataset.format, str(dataset.split), str(dataset.language)]
        )
        if not _is_made(folder):
            hub.check_commit(source)
            _make(folder, dataset, source, find_layout(source, dataset.split, dataset.format))
        return folder
    layout = find_layout(source, dataset.split, dataset.format)
    if _stays_in_place(layout, dataset):
        return source
    files = [file for found in layout.parts.values() for file in found]
    versions = [f"{file} {storage.version_of(file)}" for file in files]
    folder = _folder(root, dataset, [source, layout.kind, str(dataset.language), *versions])
    if not _is_made(folder):
        _make(folder, dataset, source, layout)
    return folder


def _stays_in_place(layout: Layout, dataset: DatasetConfig) -> bool:
    """Whether the source can be read as it is, all of it, and page by page."""
    return (
        layout.kind == "canonical"
        and dataset.language is None
        and largest_row_group_bytes(layout.parts["corpus"]) <= _ROW_GROUP_BYTES
    )


def _folder(root: str, dataset: DatasetConfig, made_from: list[str]) -> str:
    """Another one for other sources, and for other files as far as that is told unread."""
    digest = storage.sha256_of_bytes("\n".join(made_from).encode())
    return storage.join(root, f"{dataset.name}-{digest[:8]}")


def _is_made(folder: str) -> bool:
    return storage.exists(storage.join(folder, _DONE))


def _make(folder: str, dataset: DatasetConfig, source: str, layout: Layout) -> None:
    log.say("data", "bringing %s (%s layout) into %s", source, layout.kind, folder)
    counts = import_dataset(layout, folder, dataset.language)
    details = {"source": source, "layout": layout.kind, **counts}
    storage.write_json(storage.join(folder, _DONE), details)
    log.say("data", "%s", "   ".join(f"{name} {count:,}" for name, count in counts.items()))
