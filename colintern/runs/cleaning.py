"""`colintern clean`: what no run refers to, and its removal.

Only files that ColIntern has made by name are ever removed: shards, manifests and other files of
stores, and unfinished writes whose process is gone. Whatever may be of use to somebody is left, and
listed with the reason: a store that a driver works on, that a run has not got round to recording,
or that was written in the last day. A store is removed under its lease, after another look.
"""

import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from colintern import storage
from colintern.errors import LeaseHeldError, PathError, UserError
from colintern.features.damage import MARK, SHARD
from colintern.features.manifest import MANIFEST, manifest_file
from colintern.features.planned import LIMITS, PLAN
from colintern.features.store import BAD_PAGES, BAD_QUERIES, CORPUS_HASHES, PAGES, QUERIES, RECORD
from colintern.records import lease
from colintern.runs.contents import (
    Contents,
    FoundRun,
    FoundStore,
    StoreUse,
    last_change,
    look_into,
    num_bytes,
)
from colintern.runs.listing import size_text
from colintern.storage import FileState
from colintern.storage.local_files import is_abandoned

_YOUNG_SECONDS = 24 * 3600  # perhaps a driver was killed that is started again tomorrow
_DELETES_AT_ONCE = 16
_PART_FILE = re.compile(rf"({PAGES}|{QUERIES})/(shard-|manifest|{re.escape(PLAN)}).*")
_STORE_FILES = (
    RECORD,
    BAD_PAGES,
    BAD_QUERIES,
    CORPUS_HASHES,
    "basis.safetensors",
    f"{PAGES}/{LIMITS}",
    f"{QUERIES}/{LIMITS}",
)


class NoRunsError(UserError):
    """There is no run to say which stores are in use."""


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
class Cleaning:
    """What was found under a root.

    Attributes:
        root: the root.
        num_runs: how many runs say what is in use.
        unused: what may be removed.
        left: what nobody refers to, and is left all the same.
        unknown: files that are not known, which are never removed.
    """

    root: str
    num_runs: int
    unused: Sequence[Finding]
    left: Sequence[Finding]
    unknown: Sequence[FileState]


def find_unused(
    root: str,
    other_roots: Sequence[str] = (),
    now: float | None = None,
    ours: Collection[str] = (),
) -> Cleaning:
    """What no run refers to under a root.

    Args:
        root: a `run.root` or a `features.root`.
        other_roots: whose runs count too; nothing in them is listed.
        now: in seconds since 1970; None takes the clock.
        ours: the stores whose leases this process has.

    Raises:
        PathError: there is no such folder.
    """
    contents = look_into(root)
    others = [look_into(other) for other in other_roots]
    use = _Use.told_by([contents, *others])
    now = time.time() if now is None else now
    found = [_of_store(store, use, now, ours) for store in contents.stores]
    unused = [finding for one in found for finding in one[0]]
    left = [finding for one in found for finding in one[1]]
    for state in contents.temporary:
        if storage.is_local(root) and is_abandoned(storage.local_path(state.path)):
            unused.append(Finding(state.path, [state], "half written by a process that is gone"))
    return Cleaning(contents.root, use.num_runs, unused, left, contents.others)


def remove_unused(
    root: str, other_roots: Sequence[str] = (), now: float | None = None
) -> tuple[Cleaning, list[Finding]]:
    """Remove what no run refers to under a root.

    Returns:
        What was found, and what of it was removed.

    Raises:
        NoRunsError: stores would be removed, and there is no run at all.
    """
    cleaning = find_unused(root, other_roots, now)
    stores = sorted({finding.store for finding in cleaning.unused if finding.store})
    if stores and not cleaning.num_runs:
        raise NoRunsError(
            f"{cleaning.root}: there is no run here, so that every store looks unused; name the "
            "run.root of the runs with --runs, or remove the folder yourself"
        )
    with ExitStack() as leases:
        held = [store for store in stores if _is_taken(store, leases)]
        # Another look, now that nobody else can encode them: a run may have begun meanwhile.
        cleaning = find_unused(root, other_roots, now, held)
        removed = [one for one in cleaning.unused if one.store is None or one.store in held]
        for finding in removed:
            _delete(finding)
    for store in held:
        _remove_empty_folders(store)
    return cleaning, removed


def cleaning_lines(cleaning: Cleaning, removed: Sequence[Finding] | None = None) -> list[str]:
    """What was found, or removed, for people."""
    shown = cleaning.unused if removed is None else removed
    total = num_bytes(state for finding in shown for state in finding.files)
    count = sum(len(finding.files) for finding in shown)
    what = "in use by no run" if removed is None else "removed"
    lines = [*_lines(f"{what}:", shown), *_lines("left alone:", cleaning.left)]
    if cleaning.unknown:
        size, number = size_text(num_bytes(cleaning.unknown)), len(cleaning.unknown)
        lines.append(f"not known, and left alone: {number:,} files, {size}; the first:")
        lines += [f"  {state.path}" for state in cleaning.unknown[:5]]
    lines.append(
        f"runs that count: {cleaning.num_runs}; a run in another root may use these stores too: "
        "name that root with --runs"
    )
    remedy = "; remove them with --yes" if shown and removed is None else ""
    return [*lines, f"{count:,} files, {size_text(total)} {what}{remedy}"]


def _lines(title: str, findings: Sequence[Finding]) -> list[str]:
    rows = (
        f"  {size_text(num_bytes(finding.files)):>9}  {len(finding.files):>6,} files  "
        f"{finding.path}  ({finding.reason})"
        for finding in findings
    )
    return [title, *rows] if findings else []


@dataclass(frozen=True)
class _Use:
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
    def told_by(roots: Sequence[Contents]) -> "_Use":
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
        return _Use(len(runs), recorded, wanted, next(iter([*errors, *begins]), None))

    def why_in_use(self, store: FoundStore) -> str | None:
        """Why a store that no run has recorded may be in use all the same."""
        if run := self.wanted.get(store.dataset):
            return f"{run} has not recorded which store of this dataset it uses"
        return self.unknown


def _of_store(
    store: FoundStore, use: _Use, now: float, ours: Collection[str]
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
    prefix = f"{store.path}/"
    named = {output.path for output in store.record.outputs}
    candidates = {
        name: state
        for state in store.files
        if _PART_FILE.fullmatch(name := state.path.removeprefix(prefix))
        and name.removesuffix(MARK) not in named
        and now - (state.changed_at or now) >= _YOUNG_SECONDS
    }
    needed: set[str] = set()
    for part in (PAGES, QUERIES):
        tables = {f"{part}/{name}" for name in (MANIFEST, PLAN)}
        hashes = [use.manifests[part] for use in uses if part in use.manifests]
        tables |= {f"{part}/{manifest_file(sha256)}" for sha256 in hashes}
        needed |= tables
        if any(name.startswith(part) and name not in tables for name in candidates):
            there = (name for name in tables if any(f.path == prefix + name for f in store.files))
            for name in there:
                shards = _shards_in(prefix + name)
                if shards is None:
                    return  # it cannot be told what it needs
                needed |= {f"{part}/{shard}" for shard in shards}
    yield from (s for name, s in candidates.items() if name.removesuffix(MARK) not in needed)


def _shards_in(path: str) -> set[str] | None:
    """The shards that a manifest or a plan names; None where it cannot be read."""
    try:
        with storage.open_file(path) as file:
            return set(pq.read_table(file, columns=["shard"])["shard"].unique().to_pylist())
    except (PathError, pa.ArrowException):
        return None


def _is_known(path: str, store: FoundStore) -> bool:
    """Whether a file of a store is one of those that stores have."""
    name = path.removeprefix(f"{store.path}/")
    if match := _PART_FILE.fullmatch(name):
        return name.endswith((SHARD, SHARD + MARK, ".parquet")) and name.count("/") == 1
    return match is not None or name in _STORE_FILES


def _is_taken(store: str, leases: ExitStack) -> bool:
    """Take the lease of a store until `leases` end; False where a driver has it."""
    try:
        leases.enter_context(lease.held(store, wait=False))
    except LeaseHeldError:
        return False
    return True


def _delete(finding: Finding) -> None:
    """Remove files; a store's record first, so that nobody takes what is left for a store.

    What stands in its `pages` and `queries` goes last: as long as any of it is there, the next
    cleaning knows the rest.
    """
    paths = [state.path for state in finding.files]
    first = [f"{finding.store}/{name}" for name in _STORE_FILES]
    for path in sorted({*paths} & {*first}, key=first.index):
        storage.delete(path)
    with ThreadPoolExecutor(_DELETES_AT_ONCE) as threads:
        list(threads.map(storage.delete, (path for path in paths if path not in first)))


def _remove_empty_folders(store: str) -> None:
    """Remove the folders of a store in which nothing is left; an object store has none."""
    if storage.is_local(store):
        for folder in (storage.join(store, PAGES), storage.join(store, QUERIES), store):
            with suppress(OSError):  # something is left, or it is gone
                storage.local_path(folder).rmdir()
