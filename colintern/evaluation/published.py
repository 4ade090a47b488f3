"""Published results beside a run's own, for a benchmark that the run has measured as a whole.

A figure is kept with its source. None was measured here, and a part of a benchmark has no figure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import yaml

from colintern.config.benchmarks import Benchmark, Task, whole_benchmarks
from colintern.config.schema import DatasetConfig


@dataclass(frozen=True)
class Figure:
    """A published result.

    Attributes:
        benchmark: such as `vidore-v2`.
        model: its name.
        metric: such as `ndcg_at_5`.
        value: the mean over the benchmark's datasets, in percent.
        parameters: how many the model has, in words.
        gain: of nDCG: `linear`, or `unknown` where the source does not tell.
        source: where it was read; None for one that was not found at a source.
        read: when.
    """

    benchmark: str
    model: str
    metric: str
    value: float
    parameters: str
    gain: str
    source: str | None
    read: date | None


@dataclass(frozen=True)
class Standing:
    """A run's own result on a whole benchmark, and what is published.

    Attributes:
        benchmark: which one.
        metric: that mteb ranks models by.
        own: the mean over its tasks, in percent, each the mean over its languages; as mteb does.
        figures: the published ones, best first.
    """

    benchmark: Benchmark
    metric: str
    own: float
    figures: tuple[Figure, ...]


@cache
def published() -> tuple[Figure, ...]:
    """All figures, in the order of their file."""
    text = (files("colintern.evaluation") / "published.yaml").read_text()
    return tuple(Figure(**entry) for entry in yaml.safe_load(text))


def standings(
    datasets: Sequence[DatasetConfig], documents: Mapping[str, Mapping[str, Any]]
) -> list[Standing]:
    """Where a run stands on each benchmark of which it has measured every public dataset.

    A dataset with judgements that people have added is another one than the published figures are
    of.

    Args:
        datasets: the test sets of the run.
        documents: the metrics of one round by the name of the dataset.
    """
    by_task = {
        dataset.task: dataset.name
        for dataset in datasets
        if dataset.name in documents and "added_judgements" not in documents[dataset.name]
    }
    return [
        Standing(
            benchmark,
            benchmark.main_score,
            100 * float(np.mean([_score(t, documents[by_task[t.task]]) for t in benchmark.tasks])),
            _figures(benchmark),
        )
        for benchmark in whole_benchmarks(list(by_task))
    ]


def _figures(benchmark: Benchmark) -> tuple[Figure, ...]:
    own = (figure for figure in published() if figure.benchmark == benchmark.name)
    return tuple(sorted(own, key=lambda figure: -figure.value))


def _score(task: Task, document: Mapping[str, Any]) -> float:
    """The main score of a task: the mean over its languages where it has several."""
    subsets = document.get("subsets", {})
    measured = [subsets[name] for name in task.subsets if name in subsets] or [document]
    return float(np.mean([own["metrics"][task.main_score] for own in measured]))
