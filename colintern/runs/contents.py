"""What stands under a root: runs, feature stores, datasets, and files that are none of these.

All of it is told from one listing, and from the few small files that say what refers to what.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from colintern import storage
from colintern.config.files import parse_config
from colintern.config.schema import Config, datasets
from colintern.errors import ConfigError, PathError
from colintern.records import Record, fingerprint, lease, parsed_record
from colintern.records.lease_file import is_lease_file
from colintern.runs.dataset_place import FILE_HASH, identity_of
from colintern.storage import FileState
from colintern.storage.local_files import is_temporary

_REQUESTS_AT_ONCE = 16
_STORE_FILE = re.compile(
    r"(?P<store>.*/(?P<dataset>[A-Za-z0-9._-]+)-[0-9a-f]{8})/(pages|queries)/"
    r"(shard-\d{5,}-[0-9a-f]{8}\.safetensors|manifest(-[0-9a-f]{16})?\.parquet|plan\.parquet)"
)
_BASIS_FILE = re.compile(r"(?P<basis>.*/basis-[0-9a-f]{8})/basis\.safetensors")
_DATASET_FILE = re.compile(r"(?P<dataset>.+)/(corpus|queries|qrels)/[^/]+\.parquet")
_JUDGEMENTS_FILE = re.compile(r".+/datasets/judgements-[0-9a-f]{16}\.jsonl")
_ENCODE_RECORD = re.compile(r"encode-(?P<dataset>.+)\.json")
_TRAIN_RECORD = re.compile(r"round-(?P<round>[0-9]+)-train\.json")


@dataclass(frozen=True)
class StoreUse:
    """A store that a run has recorded.

    Attributes:
        name: of the store's folder, which stays the same when a root is moved.
        manifests: `pages` and `queries` to the hash of the manifest.
        questions: each file of queries and judgements to its hash; none in a record of an earlier
            version, which had one hash of all.
    """

    name: str
    manifests: Mapping[str, str]
    questions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FoundRun:
    """A run folder.

    Attributes:
        path: its path.
        files: all in it.
        error: why it cannot be read; None if it can.
        rounds: how many rounds are trained.
        best_round: by the dev set; None before the first decision.
        best_dev: nDCG@5 of that round on the dev set.
        uses: dataset name to the store that is recorded for it.
        not_encoded: the datasets that have none yet.
        is_held: whether a driver may be at work on it.
    """

    path: str
    files: Sequence[FileState]
    error: str | None
    rounds: int
    best_round: int | None
    best_dev: float | None
    uses: Mapping[str, StoreUse]
    not_encoded: Sequence[str]
    is_held: bool


@dataclass(frozen=True)
class FoundStore:
    """A folder of features, finished or not.

    Attributes:
        path: its path.
        dataset: the name of the dataset.
        files: all in it.
        record: None of one that is not finished.
        is_held: whether a driver may be at work on it.
    """

    path: str
    dataset: str
    files: Sequence[FileState]
    record: Record | None
    is_held: bool

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Contents:
    """All that stands under a root.

    Attributes:
        root: the root.
        runs: by path.
        stores: by path.
        bases: path to the files of a folder with the basis of `features.pca_dim`.
        datasets: path to the files of a dataset folder; also copies of people's judgements.
        temporary: unfinished writes, wherever they stand.
        others: files that are none of these.
        held_folders: folders without a `run.json` that a driver may be at work on, and that are no
            stores: a run that begins, or a dataset that is written.
    """

    root: str
    runs: Sequence[FoundRun]
    stores: Sequence[FoundStore]
    bases: Mapping[str, Sequence[FileState]]
    datasets: Mapping[str, Sequence[FileState]]
    temporary: Sequence[FileState]
    others: Sequence[FileState]
    held_folders: Sequence[str]


def look_into(root: str) -> Contents:
    """What stands under a root: a `run.root`, a `features.root`, or any folder above some.

    Raises:
        PathError: there is no such folder.
    """
    root = storage.absolute(root)
    if not (states := storage.find_states(root)) and not _is_folder(root):
        raise PathError(f"{root}: no such folder; give a run.root or a features.root")
    temporary = [state for state in states if unfinished_write(state.path, root)]
    unfinished = {state.path for state in temporary}
    finished = [state for state in states if state.path not in unfinished]
    stores = {found["store"]: found["dataset"] for found in _matches(_STORE_FILE, finished)}
    runs = {_folder(state.path) for state in finished if state.path.endswith("/run.json")}
    sets = {found["dataset"] for found in _matches(_DATASET_FILE, finished)} - set(stores)
    bases = {found["basis"] for found in _matches(_BASIS_FILE, finished)}
    # What stands in a folder inside another one belongs to the inner one.
    parts = _by_owner(finished, {*stores, *runs, *bases, *sets})
    judged = {state.path: [state] for state in parts[""] if _JUDGEMENTS_FILE.fullmatch(state.path)}
    leases = {_folder(state.path) for state in finished if is_lease_file(state.path)}
    held = {folder for folder in sorted(leases) if lease.is_held(folder)}
    read = _small_files(state.path for state in finished if _is_read(state.path, {*stores, *runs}))
    return Contents(
        root=root,
        runs=[_run(path, parts[path], read, path in held) for path in sorted(runs)],
        stores=[
            FoundStore(
                path,
                dataset,
                parts[path],
                _record(read.get(f"{path}/record.json")),
                path in held,
            )
            for path, dataset in sorted(stores.items())
        ],
        bases={path: parts[path] for path in sorted(bases)},
        datasets={**{path: parts[path] for path in sorted(sets)}, **judged},
        temporary=temporary,
        others=[state for state in parts[""] if state.path not in judged],
        held_folders=sorted(held - set(stores) - runs),
    )


def unfinished_write(path: str, root: str) -> str | None:
    """The file at `path`, or the folder around it, that has the name of an unfinished write."""
    folder = root
    for name in path.removeprefix(root).strip("/").split("/"):
        folder = storage.join(folder, name)
        if is_temporary(name):
            return folder
    return None


def num_bytes(files: Iterable[FileState]) -> int:
    """The sizes of files together."""
    return sum(state.size for state in files)


def last_change(files: Iterable[FileState]) -> float:
    """When one of some files was last written, in seconds since 1970; leases do not count."""
    times = (state.changed_at or 0.0 for state in files if not is_lease_file(state.path))
    return max(times, default=0.0)


def store_use(dataset: str, record: Record) -> StoreUse:
    """Which store, and what of it, a run's record of an encoded dataset refers to."""
    manifests = {
        output.path.partition("/")[0]: output.sha256 for output in record.outputs if output.sha256
    }
    questions = {
        name.removeprefix(FILE_HASH): sha256
        for name, sha256 in record.inputs.items()
        if name.startswith((f"{FILE_HASH}queries/", f"{FILE_HASH}qrels/"))
    }
    return StoreUse(f"{dataset}-{fingerprint(identity_of(record))[:8]}", manifests, questions)


def _matches(pattern: re.Pattern[str], states: Iterable[FileState]) -> list[re.Match[str]]:
    return [found for state in states if (found := pattern.fullmatch(state.path))]


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _by_owner(states: Iterable[FileState], owners: set[str]) -> dict[str, list[FileState]]:
    """Each owner's files, and those of nobody under the empty name."""
    parts: dict[str, list[FileState]] = defaultdict(list)
    for state in states:
        folder = _folder(state.path)
        while folder and folder not in owners:
            folder = _folder(folder)
        parts[folder].append(state)
    return parts


def _is_read(path: str, owners: set[str]) -> bool:
    """Whether a file is one of those that say what refers to what."""
    folder, _, name = path.rpartition("/")
    if folder in owners:
        return name in ("run.json", "loop.json", "record.json")
    run, _, last = folder.rpartition("/")
    return last == "records" and run in owners and _ENCODE_RECORD.fullmatch(name) is not None


def _is_folder(path: str) -> bool:
    """Whether there is a folder; a file is none."""
    if storage.is_local(path):
        return storage.local_path(path).is_dir()
    return storage.exists(path)


def _small_files(paths: Iterable[str]) -> dict[str, Any]:
    """The documents in JSON files, by path; None for one that is gone or no JSON."""
    wanted = list(paths)
    with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as threads:
        contents = threads.map(storage.read_bytes_if_there, wanted)
        return dict(zip(wanted, map(_document, contents), strict=True))


def _document(content: bytes | None) -> Any:
    try:
        return json.loads(content or b"null")
    except ValueError:
        return None


def _record(document: Any) -> Record | None:
    """The record in a document; None where there is none, or another one."""
    try:
        return parsed_record(document)
    except (KeyError, TypeError):
        return None


def _run(path: str, files: Sequence[FileState], read: Mapping[str, Any], is_held: bool) -> FoundRun:
    """A run, by its small files."""
    config, error = _config(path, read.get(f"{path}/run.json"))
    names = [state.path.removeprefix(f"{path}/records/") for state in files]
    rounds = [int(found["round"]) for name in names if (found := _TRAIN_RECORD.fullmatch(name))]
    loop = read.get(f"{path}/loop.json") or {}
    best = loop.get("best_round")
    dev = {entry["round"]: entry["dev"] for entry in loop.get("rounds", ())}
    uses: dict[str, StoreUse] = {}
    for name in names:
        if found := _ENCODE_RECORD.fullmatch(name):
            record = _record(read.get(f"{path}/records/{name}"))
            if record is not None:
                uses[found["dataset"]] = store_use(found["dataset"], record)
    wanted = [dataset.name for dataset in datasets(config.data)] if config else []
    return FoundRun(
        path=path,
        files=files,
        error=error,
        rounds=max(rounds, default=0),
        best_round=best,
        best_dev=dev.get(best),
        uses=uses,
        not_encoded=[name for name in wanted if name not in uses],
        is_held=is_held,
    )


def _config(path: str, document: Any) -> tuple[Config | None, str | None]:
    """The configuration in a `run.json`, or why there is none."""
    settings = document.get("config") if isinstance(document, dict) else None
    try:
        return parse_config(settings if isinstance(settings, dict) else {}, "run.json"), None
    except ConfigError as error:
        return None, f"{path}/run.json: cannot be read by this version ({error})"
