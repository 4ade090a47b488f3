"""What of a store is in use, by what runs have recorded, and what is not.

Whatever may be of use to somebody is left, with the reason: a store that a driver works on, that a
run has not got round to recording, or that was written in the last day.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from colintern.errors import PathError
from colintern.features.damage import MARK, SHARD
from colintern.features.manifest import MANIFEST, manifest_file
from colintern.features.planned import LIMITS, PLAN
from colintern.features.progress import ENCODE_LOG
from colintern.features.store import BAD_PAGES, BAD_QUERIES, CORPUS_HASHES, PAGES, QUERIES, RECORD
from colintern.features.tables import read_column
from colintern.model.basis import BASIS
from colintern.records import Record
from colintern.runs.contents import Contents, FoundRun, FoundStore, StoreUse, last_change
from colintern.storage import FileState

_YOUNG_SECONDS = 24 * 3600  # perhaps a driver was killed that is started again tomorrow
_PART_FILE = re.compile(rf"({PAGES}|{QUERIES})/(shard-|manifest|{re.escape(PLAN)}).*")
# Beside `pages` and `queries`; the last is the log of an encoding.
STORE_FILES = (
    RECORD,
    BAD_PAGES,
    BAD_QUERIES,
    CORPUS_HASHES,
    ENCODE_LOG,
    BASIS,
    f"{PAGES}/{LIMITS}",
    f"{QUERIES}/{LIMITS}",
)


@dataclass(frozen=True)
class Finding:
    """Files that stand together, and why they may be removed, or have to stay.

    Attributes:
        path: of the store, or of the file.
        files: those that it is about.
        reason: for people.
        store: the store whose lease their removal needs; None for one that needs no lease.
    """

    path: str
    files: Sequence[FileState]
    reason: str
    store: str | None = None


@dataclass(frozen=True)
class StoresInUse:
    """What runs say of stores.

    Attributes:
        num_runs: how many.
        recorded: the name of a store to what is recorded of it.
        wanted: the name of a dataset to a run that has not recorded its store yet.
        unknown: why any store may be in use; None if that is known.
    """

    num_runs: int
    recorded: Mapping[str, Sequence[StoreUse]]
    wanted: Mapping[str, str]
    unknown: str | None

    @staticmethod
    def told_by(roots: Sequence[Contents]) -> "StoresInUse":
        """What the runs of several roots say."""
        runs: list[FoundRun] = [run for contents in roots for run in contents.runs]
        recorded: dict[str, list[StoreUse]] = {}
        for use in (use for run in runs for use in run.uses.values()):
            recorded.setdefault(use.name, []).append(use)
        wanted = {name: run.path for run in runs for name in run.not_encoded}
        errors = [run.error for run in runs if run.error]
        begins = [
            f"{folder}: a run may be beginning there"
            for contents in roots
            for folder in contents.held_folders
        ]
        return StoresInUse(len(runs), recorded, wanted, next(iter([*errors, *begins]), None))

    def why_in_use(self, store: FoundStore) -> str | None:
        """Why a store that no run has recorded may be in use all the same."""
        if run := self.wanted.get(store.dataset):
            return f"{run} has not recorded which store of this dataset it uses"
        return self.unknown


def of_store(
    store: FoundStore, use: StoresInUse, now: float, ours: Collection[str]
) -> tuple[list[Finding], list[Finding]]:
    """What of a store may be removed, and what is left although no run has recorded it."""
    uses = use.recorded.get(store.name, ())
    if uses:
        if store.record is None:
            return [], []  # its run makes it again
        unused = list(_not_named(store, uses, now))
        reason = "no manifest that is in use names them"
    else:
        unused = [state for state in store.files if _is_known(state.path, store)]
        is_finished = store.record is not None
        reason = "no run refers to it" if is_finished else "never finished, and of no run"
    if not unused:
        return [], []
    keep = None if uses and use.unknown is None else use.why_in_use(store)
    if store.is_held and store.path not in ours:
        keep = "a driver is at work on it"
    elif not uses and now - last_change(store.files) < _YOUNG_SECONDS:
        keep = keep or "written less than a day ago"
    finding = Finding(store.path, unused, keep or reason, store.path)
    return ([], [finding]) if keep else ([finding], [])


def _not_named(store: FoundStore, uses: Sequence[StoreUse], now: float) -> Iterator[FileState]:
    """The shards, manifests and marks of a store in use that neither its record nor a run needs."""
    assert store.record is not None
    files = {state.path.removeprefix(f"{store.path}/"): state for state in store.files}
    named = {output.path for output in store.record.outputs}
    candidates = {
        name: state
        for name, state in files.items()
        if _PART_FILE.fullmatch(name)
        and name.removesuffix(MARK) not in named
        and now - (state.changed_at or now) >= _YOUNG_SECONDS
    }
    needed = _tables_in_use(store.record, uses, files)
    if needed is None or not candidates.keys() - needed:
        return
    for table in sorted(needed):
        shards = _shards_in(files[table].path)
        if shards is None:
            return  # it cannot be told what it needs
        needed |= {f"{table.partition('/')[0]}/{shard}" for shard in shards}
    yield from (s for name, s in candidates.items() if name.removesuffix(MARK) not in needed)


def _tables_in_use(
    record: Record, uses: Sequence[StoreUse], files: Collection[str]
) -> set[str] | None:
    """The manifests and plans of a store that are there and in use.

    None where a recorded manifest is not there, so that nobody knows which shards it named.
    """
    tables = {f"{part}/{name}" for part in (PAGES, QUERIES) for name in (MANIFEST, PLAN)}
    tables &= set(files)
    newest = {output.sha256 for output in record.outputs}
    for part, sha256 in {pair for use in uses for pair in use.manifests.items()}:
        own = f"{part}/{manifest_file(sha256)}"
        if own in files:
            tables.add(own)
        elif sha256 not in newest:  # an earlier version gave it no name of its own
            return None
    return tables


def _shards_in(path: str) -> set[str] | None:
    """The shards that a manifest or a plan names; None where it cannot be read."""
    try:
        return set(read_column(path, "shard").unique().to_pylist())
    except (PathError, pa.ArrowException):
        return None


def _is_known(path: str, store: FoundStore) -> bool:
    """Whether a file of a store is one of those that stores have."""
    name = path.removeprefix(f"{store.path}/")
    if match := _PART_FILE.fullmatch(name):
        return name.endswith((SHARD, SHARD + MARK, ".parquet")) and name.count("/") == 1
    return match is not None or name in STORE_FILES
