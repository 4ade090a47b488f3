"""`colintern clean`: what no run refers to, and its removal.

Only files that ColIntern has made by name are ever removed: shards, manifests and other files of
stores, and unfinished writes whose process is gone. What may be of use to somebody is left (see
`unused`). A store is removed under its lease, after another look.
"""

import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from colintern import storage
from colintern.errors import LeaseHeldError, UserError
from colintern.features.store import PAGES, QUERIES
from colintern.log import size_text
from colintern.records import lease
from colintern.records.run_folder import RunFolder
from colintern.runs.contents import look_into, num_bytes, unfinished_write
from colintern.runs.unused import STORE_FILES, Finding, StoresInUse, of_store
from colintern.runs.users import noted_runs
from colintern.storage import FileState
from colintern.storage.local_files import is_abandoned

_DELETES_AT_ONCE = 16


class NoRunsError(UserError):
    """There is no run to say which stores are in use."""


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
    notes = noted_runs(contents.others)
    shown = [contents, *map(look_into, other_roots)]
    known = {run.path for one in shown for run in one.runs}
    noted = [RunFolder(path) for path in notes.values() if path not in known]
    found_by_note = [look_into(run.path) for run in noted if storage.exists(run.run_json)]
    use = StoresInUse.told_by([*shown, *found_by_note])
    now = time.time() if now is None else now
    found = [of_store(store, use, now, ours) for store in contents.stores]
    unused = [finding for one in found for finding in one[0]]
    left = [finding for one in found for finding in one[1]]
    for state in contents.temporary if storage.is_local(root) else ():
        write = unfinished_write(state.path, contents.root)
        if write and is_abandoned(storage.local_path(write)):
            unused.append(Finding(state.path, [state], "half written by a process that is gone"))
    unknown = [state for state in contents.others if state.path not in notes]
    return Cleaning(contents.root, use.num_runs, unused, left, unknown)


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
        f"runs that count: {cleaning.num_runs}; runs that were moved, or made elsewhere by an "
        "earlier version, may use these stores too: name their root with --runs"
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
    first = [f"{finding.store}/{name}" for name in STORE_FILES]
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
