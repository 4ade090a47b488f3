"""How good the heads of a round are on one dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from colintern import log, records, storage
from colintern.config.schema import DEV, Config, EvaluationConfig, dataset_of
from colintern.data.added_judgements import added_judgements
from colintern.evaluation.asked import asked_of, is_as_asked
from colintern.records.lease import Held
from colintern.records.run_folder import RunFolder
from colintern.runs.stages.encode import Encode
from colintern.runs.stages.inputs import (
    JUDGED,
    heads_inputs,
    judged_inputs,
    judgement_inputs,
    split_inputs,
)
from colintern.runs.stages.stage import Made, Stage
from colintern.runs.stages.train import trained_heads
from colintern.runtime.resources import request_of

if TYPE_CHECKING:
    from colintern.features.catalog import Catalog
    from colintern.runs.opened import OpenedRun
    from colintern.runs.workers import Workers
    from colintern.runtime.work import OpenCorpus, Tell


@dataclass(frozen=True)
class Evaluate(Stage):
    """Searches all pages of a dataset for its queries, and judges what comes first.

    Other settings of `evaluation` are no drift, nor are other judgements of people of a test set:
    the round is measured again.
    """

    round_number: int
    dataset: str
    workers_setting: ClassVar[str | None] = "cluster.mining_workers"
    first_round: ClassVar[int | None] = 0

    @property
    def name(self) -> str:
        """What its record is called."""
        return f"round-{self.round_number}-evaluate-{self.dataset}"

    @property
    def command(self) -> str:
        """The words after `colintern` that make it."""
        return f"evaluate --round {self.round_number}"

    def needs(self, config: Config) -> list[Stage]:
        """The store of the pages, and the heads of the round."""
        return [
            Encode(dataset_of(config.data, self.dataset).name),
            trained_heads(self.round_number),
        ]

    def is_as_asked(self, config: Config, folder: RunFolder) -> bool:
        """Whether it is searched and judged as asked, with just the metrics that are asked for."""
        path, record = folder.evaluation(self.round_number, self.dataset), folder.record(self.name)
        if not storage.exists(path) or not is_as_asked(storage.read_json(path), config.evaluation):
            return False
        judged = judged_inputs(config, self.dataset).get(JUDGED)
        return record is None or record.inputs.get(JUDGED) == judged

    def check_drift(self, run: OpenedRun) -> None:
        """Make sure that it would come out the same now, but for what may change at any time.

        Raises:
            DriftError: it would come out otherwise.
        """
        record = run.folder.record(self.name)
        if record is not None:
            inputs = {name: value for name, value in self.inputs(run).items() if name != JUDGED}
            if JUDGED in record.inputs:
                inputs[JUDGED] = record.inputs[JUDGED]
            records.check_drift(self.name, record, run.as_recorded(record, inputs))

    def settings(self, config: Config) -> dict[str, Any]:
        """The split, what people judge of dev, and in round 0 what untrained heads depend on."""
        source = dataset_of(config.data, self.dataset).name
        return {
            **split_inputs(config),
            **(judgement_inputs(config, source) if self.dataset == DEV else {}),
            **(heads_inputs(config) if self.round_number == 0 else {}),
        }

    def inputs(self, run: OpenedRun) -> dict[str, Any]:
        """All that it would be made from now."""
        return {
            **self.settings(run.config),
            **judged_inputs(run.config, self.dataset),
            "heads_sha256": run.heads_hash(self.round_number),
            "features_sha256": run.features_hash(dataset_of(run.config.data, self.dataset).name),
        }

    def make(self, run: OpenedRun, workers: Workers, held: Held) -> Made:
        """Measure where the corpus is searched; results and metrics are written there."""
        from colintern.evaluation.protocol import encoding_of
        from colintern.runs.progress import say_at_chance, say_loss, say_metrics, telling_queries

        inputs, config, number = self.inputs(run), run.config, self.round_number
        store = run.targets[dataset_of(config.data, self.dataset).name]
        request = request_of(self, config)
        if self.is_there(run.folder):
            log.say("evaluate", "round %d  %s: again, with new settings", number, self.dataset)
        json_path = run.folder.evaluation(number, self.dataset)
        results_path = run.folder.results(number, self.dataset)
        before = storage.read_json(json_path) if storage.exists(json_path) else None
        work = partial(
            measure,
            dataset=self.dataset,
            heads_folder=run.folder.heads(number),
            settings=asked_of(self.dataset, config.evaluation, before),
            round_number=number,
            seed=config.run.seed,
            device=request.device,
            encoding=encoding_of(config, store.path),
            json_path=json_path,
            results_path=results_path,
            record_path=run.folder.record_path(self.name),
            check=held.check,
        )
        with telling_queries("evaluate", number, self.dataset) as show:
            document = workers.search(work, run.catalog, request, held, show)
        say_metrics(document)
        say_loss(document)
        say_at_chance(document, config.backbone)
        return Made(inputs, run.folder.described([json_path, results_path]))


def measure(
    catalog: Catalog,
    open_corpus: OpenCorpus,
    tell: Tell,
    *,
    dataset: str,
    heads_folder: str,
    settings: EvaluationConfig,
    round_number: int,
    seed: int,
    device: str,
    encoding: Mapping[str, Any],
    json_path: str,
    results_path: str,
    record_path: str,
    check: Callable[[], None],
) -> dict[str, Any]:
    """Measure heads on a dataset, and write the results and the metrics.

    Args:
        catalog: where datasets are read from.
        open_corpus: gives the shards of a corpus, and its queries, embedded.
        tell: told how many queries are done.
        dataset: its name in the run.
        heads_folder: the heads to measure.
        settings: how to search, and further cutoffs.
        round_number: for the document.
        seed: of the bootstrap, and of the sample that tells what a search loses.
        device: where scores are computed, for the protocol.
        encoding: how the features were computed, for the protocol.
        json_path: where the metrics go.
        results_path: where the best pages of every query go.
        record_path: the record of an earlier measurement, which is deleted when its files are
            written over, and not before: that this one can be made is shown by then.
        check: called before anything is written; raises when it must not be.

    Returns:
        The metrics, as they are written.
    """
    from colintern.evaluation.evaluate import candidates_of, evaluate
    from colintern.evaluation.protocol import Protocol, Tokens
    from colintern.evaluation.results import writing_results
    from colintern.runs.versions import FAISS, MEASURING, versions

    view, store = catalog.evaluated(dataset)
    shards, queries = open_corpus(view, store, heads_folder)
    tell({"done": 0, "queries": len(queries)})
    protocol = Protocol(
        search=settings.search,
        candidates=candidates_of(settings, view),
        device=device,
        encoding=encoding,
        page_tokens=Tokens.of(store.pages.num_tokens[view.pages]),
        versions=versions(MEASURING if settings.search == "exact" else [*MEASURING, *FAISS]),
    )
    with writing_results(results_path) as write:
        document = evaluate(
            view,
            shards,
            queries,
            settings,
            round_number=round_number,
            seed=seed,
            write=write,
            on_progress=lambda done: tell({"done": done, "queries": len(queries)}),
            protocol=protocol,
        )
        check()
        storage.delete(record_path)
    added = added_judgements(catalog.data, dataset_of(catalog.data, dataset).name)
    if added:
        document["added_judgements"] = len(added)  # not those that others measure with
    storage.write_json(json_path, document)
    return document
