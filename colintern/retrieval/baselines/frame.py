"""What all baselines share: the run's pages and queries, judging, files and records.

A baseline only has to say how it finds pages, as a function of a view. All else is done here, by
the code that measures rounds, so that the figures can stand beside each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from torch import Tensor

from colintern import log, records, storage
from colintern.config.schema import dataset_of, evaluated_names
from colintern.data.canonical import CanonicalDataset
from colintern.data.views import View
from colintern.errors import UserError
from colintern.evaluation.evaluate import judge, search_depth
from colintern.evaluation.protocol import Protocol
from colintern.evaluation.results import writing_results
from colintern.features.store import FeatureStore
from colintern.records import Inputs, lease
from colintern.records.lease import Held
from colintern.records.run_folder import baseline_stage
from colintern.retrieval.finished import FinishedRun, open_finished
from colintern.runs.baselines import BM25, POOLED, is_recorded
from colintern.runs.local import LocalWorkers
from colintern.runs.opened import OpenedRun
from colintern.runs.progress import say_metrics
from colintern.runs.runner import Runner
from colintern.runs.stages import Encode, Report
from colintern.runs.stages.inputs import judgement_inputs, split_inputs
from colintern.runs.versions import MEASURING, versions

_NAME = re.compile(r"[A-Za-z0-9._-]+")

# The pages found in a view, and how many are wanted for each query: key_BK of `search.order` for
# some queries after the others, see `evaluation.evaluate.judge`.
Search = Callable[[View, int], Iterator[Tensor]]


class BaselineError(UserError):
    """A baseline that cannot be measured, or a name that it cannot have."""


@dataclass(frozen=True)
class Baseline:
    """What is measured.

    Attributes:
        name: of its folder and its rows in tables.
        kind: what kind of retriever it is.
        about: what its documents tell of it besides: JSON values by name.
        inputs: all that its results depend on, apart from the dataset: JSON values by name. When
            one changes it is measured again.
        protocol: what differs from how MaxSim is measured, by the fields of `Protocol`: `score`,
            and how pages and queries were encoded.
    """

    name: str
    kind: Literal["bm25", "pooled", "model"]
    about: Mapping[str, Any] = field(default_factory=dict)
    inputs: Inputs = field(default_factory=dict)
    protocol: Mapping[str, Any] = field(default_factory=dict)


def checked_name(name: str) -> str:
    """A name that the baseline of another model can have.

    Raises:
        BaselineError: it cannot.
    """
    if name in (BM25, POOLED):
        raise BaselineError(f"--name {name}: is the name of a built-in baseline; choose another")
    if name.isdecimal():
        raise BaselineError(f"--name {name}: RUN@{name} is a round of the run; choose another")
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise BaselineError(
            f"--name '{name}': is not a valid name; use only letters, digits, '.', '_', '-'"
        )
    return name


class MeasuredRun:
    """A finished run on whose dev and test sets other retrievers are measured.

    Args:
        run: the run.
        held: its lease.

    Attributes:
        run: as given.
        held: as given; checked before anything is written.
        datasets: the names of the dev set and of all test sets.
    """

    def __init__(self, run: FinishedRun, held: Held) -> None:
        self.run = run
        self.held = held
        self.datasets = evaluated_names(run.config.data)
        self._opened = OpenedRun(run.config, run.backbone, run.basis)

    @property
    def heads_sha256(self) -> str:
        """The hash of the run's heads."""
        return self._opened.heads_hash(self.run.round_number)

    def check_unchanged(self) -> None:
        """Make sure that the datasets are those that the rounds were measured on.

        Raises:
            DriftError: one has changed since the run began.
        """
        for name in dict.fromkeys(self._source(dataset) for dataset in self.datasets):
            Encode(name).check_drift(self._opened)

    def view(self, dataset: str) -> tuple[View, FeatureStore]:
        """The pages that a round's evaluation searches, its queries, and their features.

        Raises:
            MissingStageError: the features are gone; their manifest says what was searched.
        """
        return self._opened.catalog.evaluated(dataset)

    def pages(self, dataset: str) -> CanonicalDataset:
        """The dataset folder that an evaluated set is read from: page images and texts by id."""
        catalog = self._opened.catalog
        return catalog.dataset(dataset_of(catalog.data, dataset))

    def is_measured(self, baseline: Baseline, dataset: str) -> bool:
        """Whether just this is recorded already."""
        folder = self.run.folder
        before = folder.record(baseline_stage(baseline.name, dataset))
        return (
            before is not None
            and before.fingerprint == records.fingerprint(self._inputs(baseline, dataset))
            and is_recorded(folder, baseline.name, dataset)
        )

    def record(self, baseline: Baseline, dataset: str, search: Search) -> dict[str, Any]:
        """Measure a baseline on a dataset, unless just that is recorded already.

        Args:
            baseline: what is measured.
            dataset: one of `datasets`.
            search: finds the pages; only called when there is something to measure.

        Returns:
            The metrics, as they stand in `RUN/baselines/{name}/eval/{dataset}.json`.
        """
        folder, stage = self.run.folder, baseline_stage(baseline.name, dataset)
        files = [
            folder.baseline_evaluation(baseline.name, dataset),
            folder.baseline_results(baseline.name, dataset),
        ]
        if self.is_measured(baseline, dataset):
            log.say("baseline", "%s  %s: is measured already", baseline.name, dataset)
            return storage.read_json(files[0])
        started_at = records.now()
        document = self._measure(baseline, dataset, search)
        self.held.check()
        inputs = self._inputs(baseline, dataset)
        records.record_outputs(
            folder.record_path(stage), inputs, folder.described(files), started_at
        )
        say_metrics(document)
        return document

    def write_report(self) -> None:
        """Write the page about the run again, with what has been measured.

        That of a run that is not finished is written at its end.
        """
        if storage.exists(self.run.folder.loop_json):
            Runner(self._opened, LocalWorkers(), self.held).do(Report())

    def _measure(self, baseline: Baseline, dataset: str, search: Search) -> dict[str, Any]:
        """Search, judge, and write what was found; an earlier record is deleted before that."""
        folder, config = self.run.folder, self.run.config
        view, _ = self.view(dataset)
        cutoffs = config.evaluation.cutoffs
        blocks = search(view, search_depth(view, cutoffs))
        with writing_results(folder.baseline_results(baseline.name, dataset)) as write:
            document = judge(
                view,
                blocks,
                cutoffs,
                round_number=None,
                search="exact",
                seed=config.run.seed,
                write=write,
                on_progress=lambda _: None,
                about={
                    "baseline": {"name": baseline.name, "kind": baseline.kind, **baseline.about}
                },
                protocol=_protocol(baseline),
            )
            self.held.check()
            storage.delete(folder.record_path(baseline_stage(baseline.name, dataset)))
        storage.write_json(folder.baseline_evaluation(baseline.name, dataset), document)
        return document

    def data_inputs(self, dataset: str) -> Inputs:
        """What a dataset is: its pages, what is asked, and what is judged."""
        source = self._source(dataset)
        questions = self._opened.targets[source].content.questions.items()
        return {
            **split_inputs(self.run.config),
            "features_sha256": self._opened.features_hash(source),
            **{f"dataset_sha256.{name}": sha256 for name, sha256 in questions},
            **judgement_inputs(self.run.config, source),
        }

    def _inputs(self, baseline: Baseline, dataset: str) -> Inputs:
        """All that the results depend on: the dataset, the baseline, how deep it is judged."""
        return {
            **self.data_inputs(dataset),
            "evaluation.cutoffs": list(self.run.config.evaluation.cutoffs),
            **{f"baseline.{name}": value for name, value in baseline.inputs.items()},
        }

    def _source(self, dataset: str) -> str:
        """The name of the dataset that an evaluated set is read from; dev may be of train."""
        return dataset_of(self.run.config.data, dataset).name


@contextmanager
def measured_run(run_path: str, round_number: int | None = None) -> Iterator[MeasuredRun]:
    """Open a run for whatever is measured beside its rounds, and hold it for this driver.

    Args:
        run_path: the run folder.
        round_number: whose heads; None takes the best round.

    Raises:
        MissingStageError: that round, or any, is not trained.
        DriftError: a dataset has changed since the run began.
        LeaseHeldError: another driver is at work on the run.
    """
    run = open_finished(
        storage.absolute(run_path), round_number
    )  # workers have another working folder
    with lease.held(run.folder.path, wait=False) as held:
        measured = MeasuredRun(run, held)
        measured.check_unchanged()
        with log.kept(run.folder.log, held.check):
            yield measured


def _protocol(baseline: Baseline) -> Protocol:
    """How a baseline is measured: all pages are searched, by its own score."""
    usual = Protocol("exact", candidates=None, device="cpu", versions=versions(MEASURING))
    return replace(usual, **baseline.protocol)
