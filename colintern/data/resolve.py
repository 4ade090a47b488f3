"""From what a configuration names to a canonical folder that the rest of ColIntern reads.

A canonical folder is read where it stands. A canonical folder is made once, and the source is only
read, for: any other layout; a choice of language or split; scores with `relevant_from`; a dataset
on the Hub, which may be downloaded; and a corpus whose row groups are too large to pick pages from.
A folder that was made like this, configured again with the same choices (as in the configuration
that a run has recorded), is read where it stands.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from colintern import log, storage
from colintern.config.schema import Config, DatasetConfig
from colintern.data import hub
from colintern.data.added_judgements import as_written, read_pairs
from colintern.data.canonical import DATASET_DONE, largest_row_group_bytes
from colintern.data.demo import DEMO_VERSION, write_demo_files
from colintern.data.importing import import_dataset
from colintern.data.layouts import Layout, find_layout
from colintern.errors import DatasetError
from colintern.records import lease

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
# Each worker reads single pages out of row groups, and may hold two such groups.
_ROW_GROUP_BYTES = 256 * 2**20
_CHOICES = ("format", "split", "config", "language", "relevant_from")


def source_url(dataset: DatasetConfig) -> str:
    """Where the dataset is read from: an absolute path or a URL, with the revision pinned.

    Raises:
        DatasetError: a Hub dataset without a revision.
    """
    path = dataset.path.rstrip("/")
    if _HUB_ID.fullmatch(path) and not storage.exists(path):
        if not dataset.revision:
            raise DatasetError(
                f"{path}: no such folder; make it of your pages first: colintern ingest SOURCE... "
                f"--out {path}; a dataset on the Hub of that name needs a pinned commit: "
                f"{{path: {path}, revision: <commit>}}"
            )
        path = f"hf://datasets/{path}"
    return hub.pinned_url(path, dataset.revision) if hub.is_url(path) else storage.absolute(path)


@dataclass(frozen=True)
class FoundSource:
    """A dataset that has been found.

    Attributes:
        folder: the canonical folder that it is read from.
        write: makes that folder, all but `dataset.json`, and returns the content of that file; None
            if the folder is there already.
    """

    folder: str
    write: Callable[[], Mapping[str, Any]] | None = None


def find_source(dataset: DatasetConfig, root: str) -> FoundSource:
    """Find a dataset, without reading or writing much.

    Args:
        dataset: as configured, or a built-in one.
        root: where canonical folders are made; they are shared between runs.

    Raises:
        DatasetError: it is missing or has no known layout.
    """
    if dataset.is_demo:
        return _demo(dataset, root)
    source = source_url(dataset)
    if hub.is_url(source):  # a commit never changes: what was made of it stays valid
        made_from = [source, dataset.format, str(dataset.split), str(dataset.language)]
        folder = _folder(root, dataset, [*made_from, *_later_choices(dataset)])
        if _is_made(folder):
            return FoundSource(folder)
        here = hub.downloaded(source)
        if here is None:
            hub.check_commit(source)
        return _imported(folder, dataset, source, _layout(here or source, dataset))
    if _is_made_with(source, dataset):
        return FoundSource(source)
    layout = _layout(source, dataset)
    if _stays_in_place(layout, dataset):
        return FoundSource(layout.root)
    versions = [f"{file} {storage.version_of(file)}" for file in layout.files()]
    made_from = [source, layout.kind, str(dataset.language), *versions]
    folder = _folder(root, dataset, [*made_from, *_later_choices(dataset)])
    return _imported(folder, dataset, source, layout)


def made(source: FoundSource) -> str:
    """The canonical folder of a dataset, which is written first if it is not there.

    One driver writes it; others that want it wait.

    Raises:
        LeaseLostError: another driver has taken over meanwhile, and finishes the folder.
    """
    if source.write is not None:
        with lease.held(source.folder, wait=True, on_wait=_say_waiting) as held:
            if not _is_made(source.folder):
                details = source.write()
                held.check()
                storage.write_json(storage.join(source.folder, DATASET_DONE), details)
    return source.folder


def _demo(dataset: DatasetConfig, root: str) -> FoundSource:
    name, split = dataset.path, dataset.split
    assert split is not None
    folder = storage.join(root, f"{name}-{split}-v{DEMO_VERSION}")

    def write() -> Mapping[str, Any]:
        log.say("data", "writing the built-in corpus %s %s", name, split)
        return write_demo_files(folder, name, split)

    return FoundSource(folder, None if _is_made(folder) else write)


def _imported(folder: str, dataset: DatasetConfig, source: str, layout: Layout) -> FoundSource:
    write = partial(_import, folder, dataset, source, layout)
    return FoundSource(folder, None if _is_made(folder) else write)


def _say_waiting(holder: lease.Lease) -> None:
    log.say("data", "waiting for process %d on %s to write this dataset", holder.pid, holder.host)


def _layout(source: str, dataset: DatasetConfig) -> Layout:
    layout = find_layout(source, dataset.split, dataset.format, dataset.config)
    if layout.kind == "rows" and dataset.relevant_from is not None:
        log.warn_once("data", f"{source}: relevant_from has no effect: its rows have no scores")
    return layout


def _stays_in_place(layout: Layout, dataset: DatasetConfig) -> bool:
    """Whether the source can be read where it stands: all of it, and page by page."""
    return (
        layout.kind == "canonical"
        and dataset.language is None
        and dataset.relevant_from is None
        and largest_row_group_bytes(layout.parts["corpus"]) <= _ROW_GROUP_BYTES
    )


def _folder(root: str, dataset: DatasetConfig, made_from: list[str]) -> str:
    """The folder to make: another one for each source, and for each state of its files."""
    digest = storage.sha256_of_bytes("\n".join(made_from).encode())
    return storage.join(root, f"{dataset.name}-{digest[:8]}")


def _choices(dataset: DatasetConfig) -> dict[str, Any]:
    """The keys that choose what is read of a source, as far as they are set."""
    fields = DatasetConfig.model_fields
    values = {key: getattr(dataset, key) for key in _CHOICES}
    return {
        key: list(value) if isinstance(value, tuple) else value  # as JSON gives it back
        for key, value in values.items()
        if value != fields[key].default
    }


def _later_choices(dataset: DatasetConfig) -> list[str]:
    """The choices that the first versions did not have, as far as they are set."""
    chosen = _choices(dataset)
    return [f"{key}={chosen[key]}" for key in ("config", "relevant_from") if key in chosen]


def _is_made_with(folder: str, dataset: DatasetConfig) -> bool:
    """Whether `folder` was made by us, with the choices that are configured now."""
    chosen, done = _choices(dataset), storage.join(folder, DATASET_DONE)
    if not chosen or not storage.exists(done):
        return False
    document = storage.read_json(done)
    return isinstance(document, dict) and document.get("choices") == chosen


def _is_made(folder: str) -> bool:
    return storage.exists(storage.join(folder, DATASET_DONE))


def _import(folder: str, dataset: DatasetConfig, source: str, layout: Layout) -> Mapping[str, Any]:
    log.say("data", "copying %s (%s layout) to %s", source, layout.kind, folder)
    counts = import_dataset(layout, folder, dataset.language, dataset.relevant_from)
    root = folder.rpartition("/")[0]
    if not hub.is_url(source) and find_source(dataset, root).folder != folder:
        raise DatasetError(
            f"{source}: the dataset changed while it was copied to {folder}; run the same "
            "command again when nobody writes to it"
        )
    log.say("data", "%s", "   ".join(f"{name} {count:,}" for name, count in counts.items()))
    return {"source": source, "layout": layout.kind, "choices": _choices(dataset), **counts}


def with_datasets(config: Config) -> Config:
    """The configuration with the canonical folder of every dataset; missing ones are made."""
    data = config.data
    complete = data.model_copy(
        update={
            "train": resolved(data.train, config),
            "dev": data.dev and resolved(data.dev, config),
            "eval": tuple(resolved(dataset, config) for dataset in data.eval),
        }
    )
    return config.model_copy(update={"data": complete})


def with_judgements(config: Config) -> Config:
    """The configuration with a copy of the file of people's judgements, named after what it says.

    Stages of one start, and whoever looks at the run later, read the same lines.

    Raises:
        ConfigError: there is no such file.
        DatasetError: a line cannot be read.
    """
    if config.data.judgements is None:
        return config
    content = as_written(read_pairs(config.data.judgements))
    name = f"judgements-{storage.sha256_of_bytes(content)[:16]}.jsonl"
    path = storage.join(datasets_root(config), name)
    if not storage.exists(path):
        storage.write_bytes(path, content)
    data = config.data.model_copy(update={"judgements": path})
    return config.model_copy(update={"data": data})


def resolved(dataset: DatasetConfig, config: Config) -> DatasetConfig:
    """A dataset with the canonical folder that it is read from, which is made if it is missing."""
    folder = made(find_source(dataset, datasets_root(config)))
    return dataset.model_copy(update={"path": folder})


def datasets_root(config: Config) -> str:
    """Where canonical folders are made; they are shared between runs."""
    return storage.join(storage.absolute(config.run.root), "datasets")
