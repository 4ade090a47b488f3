"""`colintern ls`: the runs and the stores under a root, as a table and as a document."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from colintern.errors import PathError
from colintern.features.tables import read_column
from colintern.log import size_text
from colintern.records import Record
from colintern.runs.contents import (
    Contents,
    FoundRun,
    FoundStore,
    last_change,
    look_into,
    num_bytes,
)
from colintern.storage import FileState

_PARTS = ("pages", "queries")


def listing(root: str) -> dict[str, Any]:
    """What stands under a root, as JSON values; sizes are in bytes, times in UTC.

    Raises:
        PathError: there is no such folder.
    """
    contents = look_into(root)
    return {
        "root": contents.root,
        "runs": [_run(run) for run in contents.runs],
        "stores": [_store(store, contents) for store in contents.stores],
        "bases": _sizes(contents.bases),
        "datasets": _sizes(contents.datasets),
        "unfinished_writes": _together(contents.temporary),
        "other_files": _together(contents.others),
    }


def listing_lines(document: dict[str, Any]) -> list[str]:
    """What `listing` says, as tables for people."""
    root = document["root"]
    lines = _table(
        ("run", "rounds", "best", "dev nDCG@5", "last change (UTC)", "size", ""),
        [
            (
                _inside(root, run["path"]),
                str(run["rounds"]),
                _or_dash(run["best_round"]),
                "-" if run["best_dev"] is None else f"{run['best_dev']:.3f}",
                _or_dash(run["last_change"]),
                size_text(run["bytes"]),
                run["error"] or ("running" if run["is_running"] else ""),
            )
            for run in document["runs"]
        ],
    )
    lines += _table(
        ("store", "pages", "tokens", "queries", "dtype", "size", "runs"),
        [
            (
                _inside(root, store["path"]),
                *(_counted(store[key]) for key in ("pages", "page_tokens", "queries")),
                _or_dash(store["dtype"]),
                size_text(store["bytes"]),
                ", ".join(store["runs"]) or ("-" if store["is_finished"] else "- (unfinished)"),
            )
            for store in document["stores"]
        ],
    )
    for head, key in (("basis", "bases"), ("dataset", "datasets")):
        rows = [(_inside(root, one["path"]), size_text(one["bytes"])) for one in document[key]]
        lines += _table((head, "size"), rows)
    rest = [
        (title, str(document[key]["files"]), size_text(document[key]["bytes"]))
        for title, key in (("unfinished writes", "unfinished_writes"), ("others", "other_files"))
        if document[key]["files"]
    ]
    lines += _table(("other files", "number", "size"), rest)
    return lines[:-1] or [f"{root}: no runs and no stores"]


def _run(run: FoundRun) -> dict[str, Any]:
    changed_at = last_change(run.files)
    time = (
        datetime.fromtimestamp(changed_at, UTC).strftime("%Y-%m-%d %H:%M") if changed_at else None
    )
    return {
        "path": run.path,
        "rounds": run.rounds,
        "best_round": run.best_round,
        "best_dev": run.best_dev,
        "last_change": time if changed_at else None,
        "bytes": num_bytes(run.files),
        "is_running": run.is_held,
        "error": run.error,
        "stores": {dataset: use.name for dataset, use in run.uses.items()},
    }


def _store(store: FoundStore, contents: Contents) -> dict[str, Any]:
    pages, queries = (_counts(store, part) for part in _PARTS)
    return {
        "path": store.path,
        "dataset": store.dataset,
        "is_finished": store.record is not None,
        "pages": pages[0],
        "page_tokens": pages[1],
        "queries": queries[0],
        "query_tokens": queries[1],
        "dtype": store.record.inputs.get("features.dtype") if store.record else None,
        "bytes": num_bytes(store.files),
        "runs": [
            run.path.rpartition("/")[2]
            for run in contents.runs
            if any(use.name == store.name for use in run.uses.values())
        ],
    }


def _counts(store: FoundStore, part: str) -> tuple[int | None, int | None]:
    """How many items the newest manifest names, and their tokens; None where there is none.

    Of the manifest only one column is read.
    """
    path = _newest_manifest(store.record, part)
    if path is None:
        return None, None
    try:
        tokens = read_column(f"{store.path}/{path}", "num_tokens")
    except (PathError, pa.ArrowException):
        return None, None
    return len(tokens), sum(chunk.to_numpy().sum(dtype=int).item() for chunk in tokens.chunks)


def _newest_manifest(record: Record | None, part: str) -> str | None:
    outputs = record.outputs if record else ()
    names = (output.path for output in outputs if output.path.startswith(f"{part}/manifest"))
    return next(names, None)


def _sizes(folders: Mapping[str, Sequence[FileState]]) -> list[dict[str, Any]]:
    return [{"path": path, "bytes": num_bytes(files)} for path, files in folders.items()]


def _together(files: Sequence[FileState]) -> dict[str, int]:
    return {"files": len(files), "bytes": num_bytes(files)}


def _inside(root: str, path: str) -> str:
    return path.removeprefix(f"{root.rstrip('/')}/")


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)


def _counted(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table with a blank line below; nothing without rows. The first and last column are text."""
    table = [tuple(heads), *rows]
    if len(table) == 1:
        return []
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    last = len(heads) - 1
    return [
        "  ".join(
            cell.ljust(width) if at in (0, last) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ] + [""]
