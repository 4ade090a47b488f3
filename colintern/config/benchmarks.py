"""The named benchmarks: which test sets stand for `vidore-v1`, `vidore-v2` and `vidore-v3`.

`vidore.json` says what mteb's task files say (a test compares them): where each dataset is on the
Hub, at which commit, and in which languages its questions are asked. The two private tasks of v3,
which only their owners can run, are named and left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

_DEFAULT = "default"  # what mteb calls the only subset of a task


@dataclass(frozen=True)
class Task:
    """One test set of a benchmark.

    Attributes:
        name: of the dataset in a run.
        task: what mteb calls it.
        path: on the Hub.
        revision: the commit there.
        languages: mteb's subset to its languages, such as `french` to `fra-Latn`.
        main_score: the metric that mteb ranks models by.
        in_configurations: whether each language is a configuration of the dataset, with a copy of
            the same pages; otherwise a column of the questions says it.
    """

    name: str
    task: str
    path: str
    revision: str
    languages: Mapping[str, tuple[str, ...]]
    main_score: str
    in_configurations: bool

    @property
    def subsets(self) -> tuple[str, ...]:
        """The languages that have figures of their own; none where there is one only."""
        return tuple(name for name in self.languages if name != _DEFAULT)


@dataclass(frozen=True)
class Benchmark:
    """A named benchmark.

    Attributes:
        name: in a configuration.
        mteb_name: in mteb.
        main_score: the metric that mteb ranks models by.
        tasks: in mteb's order.
        private_tasks: what mteb counts too, and nobody else can run.
    """

    name: str
    mteb_name: str
    main_score: str
    tasks: tuple[Task, ...]
    private_tasks: tuple[str, ...]


@cache
def benchmarks() -> dict[str, Benchmark]:
    """All of them, by name."""
    return {name: _benchmark(name, found) for name, found in _document()["benchmarks"].items()}


@cache
def tasks() -> dict[str, Task]:
    """The tasks of all benchmarks, by what mteb calls them."""
    return {task.task: task for found in benchmarks().values() for task in found.tasks}


def mteb_version() -> str:
    """The version of mteb whose task files these are."""
    return _document()["mteb_version"]


def expanded(entry: Any) -> list[Any]:
    """The entries of `data.eval` that one of them stands for.

    `vidore-v2` stands for four datasets on the Hub, and `vidore-v2:FOLDER` for copies of them: the
    folders in FOLDER that are called like the datasets. All else stands for itself.

    Raises:
        ValueError: a benchmark is given with a key that only a single dataset can have, or without
            the folder behind its colon.
    """
    path = entry.get("path") if isinstance(entry, dict) else entry
    if not isinstance(path, str):
        return [entry]
    name, colon, folder = path.partition(":")
    if name not in benchmarks():
        return [entry]
    if colon and not folder:
        raise ValueError(f"{path} names no folder; give {name}:FOLDER for copies, or {name}")
    if isinstance(entry, dict) and (others := sorted(entry.keys() - {"path"})):
        raise ValueError(
            f"{name} stands for several datasets, which cannot share '{others[0]}'; give the path "
            "only, or name the datasets one by one"
        )
    return [_entry(task, folder.rstrip("/")) for task in benchmarks()[name].tasks]


def whole_benchmarks(names: list[str | None]) -> list[Benchmark]:
    """The benchmarks of which all tasks are among `names`, mteb's names of tasks."""
    return [
        found for found in benchmarks().values() if {task.task for task in found.tasks} <= {*names}
    ]


def _entry(task: Task, folder: str) -> dict[str, Any]:
    """The entry of a task's dataset; of a copy in `folder`, unless that is empty."""
    there = {"path": task.path, "revision": task.revision}
    copy = {"path": f"{folder}/{task.path.rsplit('/', 1)[-1]}"}
    return {
        "name": task.name,
        "task": task.task,
        **(copy if folder else there),
        **({"config": task.subsets} if task.in_configurations else {}),
    }


def _benchmark(name: str, found: Mapping[str, Any]) -> Benchmark:
    main_score, in_configurations = found["main_score"], found["in_configurations"]
    return Benchmark(
        name=name,
        mteb_name=found["mteb_name"],
        main_score=main_score,
        tasks=tuple(
            Task(
                **{key: task[key] for key in ("name", "task", "path", "revision")},
                languages={key: tuple(value) for key, value in task["languages"].items()},
                main_score=main_score,
                in_configurations=in_configurations,
            )
            for task in found["tasks"]
        ),
        private_tasks=tuple(found["private_tasks"]),
    )


@cache
def _document() -> dict[str, Any]:
    return json.loads((files("colintern.config") / "vidore.json").read_text())
