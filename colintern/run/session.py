"""One driver at work on one run, stage by stage; a stage that is recorded is not done again."""

from collections.abc import Callable
from itertools import count

from colintern import log, records, storage
from colintern.config.schema import DEV, Config, evaluated_names
from colintern.evaluation.asked import asked_of
from colintern.evaluation.decision import METRIC, RoundDecision, decide, loop_document
from colintern.evaluation.evaluate import judged_again
from colintern.features.finish import finished_record
from colintern.features.plan import StoreTarget
from colintern.features.store import manifests_of
from colintern.model.backbone import BackboneIdentity
from colintern.model.heads import (
    INFO,
    WEIGHTS,
    BackboneInfo,
    HeadsInfo,
    init_heads,
    load_heads,
    save_heads,
)
from colintern.records import Inputs
from colintern.records.lease import Held
from colintern.records.run_folder import (
    REPORT_STAGE,
    encode_stage,
    evaluate_stage,
    mine_stage,
    train_stage,
)
from colintern.report.page import write_report
from colintern.run.history import Recorded
from colintern.run.progress import (
    say_at_chance,
    say_held_out,
    say_metrics,
    say_mined,
    say_not_asked,
    say_queries,
    say_seen_in_training,
    say_step,
)
from colintern.run.versions import commit, versions
from colintern.runtime.cluster import Cluster
from colintern.runtime.encode import encode_stores
from colintern.runtime.relay import relayed
from colintern.runtime.search_pool import EvaluateTask, MineTask, SearchPool
from colintern.runtime.train import train
from colintern.training.loop import RoundTask


class Session:
    """One driver at work on one run.

    Args:
        config: with every dataset resolved to a canonical folder.
        backbone: the identity of the frozen backbone.
        cluster: joined when the first stage needs it.
        held: the lease of the run folder.
    """

    def __init__(
        self, config: Config, backbone: BackboneIdentity, cluster: Cluster, held: Held
    ) -> None:
        self.recorded = Recorded(config, backbone)
        self.folder = self.recorded.folder
        self._config = config
        self._backbone = backbone
        self._cluster = cluster
        self._held = held
        self._pool: SearchPool | None = None

    def write_run_json(self) -> None:
        """Write down the resolved configuration, the versions and the commit."""
        document = {
            "config": self._config.located().model_dump(mode="json"),
            "versions": versions(),
            "commit": commit(),
        }
        self._held.check()
        storage.write_json(self.folder.run_json, document)

    # Stages

    def encode(self) -> None:
        """Compute the features of every dataset that has none yet."""
        missing = [
            target
            for target in self.recorded.targets.values()
            if not self.recorded.is_encoded(target)
        ]
        started_at = records.now()
        limit = self._config.data.max_bad_fraction
        found = {target.path: finished_record(target, limit) for target in missing}
        made = {path: record for path, record in found.items() if record}
        unfinished = [target for target in missing if target.path not in made]
        if unfinished:
            self._cluster.ensure()
            made |= encode_stores(unfinished, self._backbone, self._config)
        for target in missing:
            if not self.recorded.is_mended(target):
                self._record_encoding(target, made[target.path], started_at)
        if missing:
            self.recorded.catalog.check_pages_differ()
            self._say_what_datasets_lack()

    def train(self, round_number: int) -> None:
        """Train a round's heads from those of the round before."""
        stage, inputs = train_stage(round_number), self.recorded.train_inputs(round_number)
        if self.recorded.is_done(stage, inputs):
            return
        self.recorded.catalog.check_pages_differ()
        self._close_pool()
        self._cluster.ensure()
        if round_number == 1:
            self._write_untrained_heads()
        task = RoundTask(
            round_number=round_number,
            seed=self._config.run.seed,
            catalog=self.recorded.catalog,
            training=self._config.training,
            first_heads=self.folder.heads(round_number - 1),
            triples=self.folder.triples(round_number)
            if self.recorded.mines(round_number)
            else None,
            info=self._heads_info,
            heads_folder=self.folder.heads(round_number),
            log_path=self.folder.train_log(round_number),
        )

        def work() -> None:
            train(
                task,
                self._config.training.num_workers,
                self._config.cluster,
                self._held,
                lambda news: say_step(round_number, news),
            )

        self._do(stage, inputs, [*self._head_files(round_number), task.log_path], work)

    def mine(self, round_number: int) -> None:
        """Find the hard negatives that a round trains on, with the heads of the round before."""
        if not self.recorded.mines(round_number):
            log.warn_once("mine", "training.negatives_per_query=0: nothing is mined")
            return
        stage, inputs = mine_stage(round_number), self.recorded.mine_inputs(round_number)
        if self.recorded.is_done(stage, inputs):
            return
        task = MineTask(
            catalog=self.recorded.catalog,
            heads_folder=self.folder.heads(round_number - 1),
            settings=self._config.mining,
            seed=self._config.run.seed,
            triples_path=self.folder.triples(round_number),
            mining_path=self.folder.mining(round_number),
            held=self._held,
        )

        def work() -> None:
            with relayed(lambda news: say_queries("mine", round_number, "train", news)) as tell:
                found = self._search_pool().mine(task, tell)
            say_mined(round_number, found)

        self._do(stage, inputs, [task.triples_path, task.mining_path], work)

    def evaluate(self, round_number: int) -> None:
        """Measure a round on dev and on every test set."""
        for name in evaluated_names(self._config.data):
            stage = evaluate_stage(round_number, name)
            inputs = self.recorded.evaluate_inputs(round_number, name)
            is_recorded = self.recorded.is_done(stage, inputs)
            if is_recorded and self.recorded.is_measured(round_number, name):
                continue
            if is_recorded:
                log.say("evaluate", "round %d  %s: again, with other settings", round_number, name)
            if round_number == 0:
                self._write_untrained_heads()
            task = self._evaluate_task(round_number, name)

            def work(task: EvaluateTask = task, stage: str = stage) -> None:
                self._forget(stage)  # its record is of the files that are written over
                document = self._search_pool().evaluate(task)
                say_metrics(document)
                say_at_chance(document, self._config.backbone)

            self._do(stage, inputs, [task.json_path, task.parquet_path], work)

    def evaluate_rounds_from(self, first: int) -> None:
        """Measure what the rounds from `first` on lack that were measured by an earlier start.

        They stay in every table, so all of them are to be measured alike.
        """
        for number in count(first):
            was_measured = storage.exists(self.folder.evaluation(number, DEV))
            is_made = number == 0 or self.recorded.is_recorded(train_stage(number))
            if not (was_measured and is_made):
                return
            self.evaluate(number)

    def decide(self, round_number: int) -> RoundDecision:
        """Write `loop.json` from the rounds up to this one, and say what follows.

        Only dev is looked at: test sets never steer training. Later rounds of an earlier start are
        not looked at either: the loop comes to them.
        """
        view, _ = self.recorded.catalog.evaluated(DEV)
        values = [
            judged_again(self.folder.results(number, DEV), view.judgements).values[METRIC]
            for number in range(round_number + 1)
        ]
        decisions = decide(values, self._config.loop, self._config.run.seed)
        self._held.check()
        storage.write_json(self.folder.loop_json, loop_document(decisions))
        last = decisions[-1]
        log.say("loop", "round %d: %s; %s", last.round, last.reason, last.decision)
        return last

    def report(self) -> None:
        """Write `report.html`, unless it shows just this run already."""
        rounds = (stage for stage, _ in self.recorded.stages_of_rounds())
        shown = [*map(encode_stage, self.recorded.targets), *rounds]
        inputs = {stage: record.fingerprint for stage in shown if (record := self._record(stage))}
        inputs["loop"] = storage.sha256_of_file(self.folder.loop_json)
        inputs["run"] = storage.sha256_of_file(self.folder.run_json)  # the settings are shown, too
        if self._is_shown(inputs):
            return
        self.recorded.catalog.check_questions()
        started_at = records.now()
        self._held.check()
        path = write_report(self.folder.path)
        self._commit(REPORT_STAGE, inputs, [path], started_at)
        log.say("report", "%s", path)

    def _is_shown(self, inputs: Inputs) -> bool:
        """Whether the report is the one that was made of this, and nobody has written over it."""
        record, path = self._record(REPORT_STAGE), self.folder.report
        if record is None or record.fingerprint != records.fingerprint(inputs):
            return False
        return storage.exists(path) and storage.sha256_of_file(path) == record.outputs[0].sha256

    def close(self) -> None:
        """End the actors of this driver."""
        self._close_pool()

    # Doing and recording

    def _record(self, stage: str) -> records.Record | None:
        return self.folder.record(stage)

    def _do(self, stage: str, inputs: Inputs, outputs: list[str], work: Callable[[], None]) -> None:
        self.recorded.catalog.check_questions()
        self._cluster.ensure()
        started_at = records.now()
        work()
        self._commit(stage, inputs, outputs, started_at)

    def _commit(self, stage: str, inputs: Inputs, outputs: list[str], started_at: str) -> None:
        self._held.check()
        self.folder.write_record(stage, inputs, outputs, started_at)

    def _evaluate_task(self, round_number: int, name: str) -> EvaluateTask:
        json_path = self.folder.evaluation(round_number, name)
        before = storage.read_json(json_path) if storage.exists(json_path) else None
        return EvaluateTask(
            catalog=self.recorded.catalog,
            dataset=name,
            heads_folder=self.folder.heads(round_number),
            settings=asked_of(name, self._config.evaluation, before),
            round_number=round_number,
            seed=self._config.run.seed,
            json_path=json_path,
            parquet_path=self.folder.results(round_number, name),
            held=self._held,
        )

    def _forget(self, stage: str) -> None:
        """Take back that a stage is recorded, before it is done again."""
        if self.recorded.is_recorded(stage):
            self._held.check()
            storage.delete(self.folder.record_path(stage))

    def _record_encoding(self, target: StoreTarget, made: records.Record, started_at: str) -> None:
        """Note which manifests this run works from; they stand in the store, not in the run."""
        path = self.folder.record_path(encode_stage(target.dataset.name))
        self._held.check()
        manifests = list(manifests_of(made).values())
        records.record_outputs(path, target.inputs_like(made), manifests, started_at)

    def _say_what_datasets_lack(self) -> None:
        """Pages that train and test share make a test too easy, queries without a text too hard."""
        catalog = self.recorded.catalog
        say_held_out(self._config.data.train.name, catalog.pages_held_out())
        for name in evaluated_names(self._config.data):
            say_not_asked(name, catalog.not_asked(name))
            if name in self.recorded.targets:
                say_seen_in_training(name, catalog.pages_seen_in_training(name))

    def _search_pool(self) -> SearchPool:
        if self._pool is None:
            self._pool = SearchPool(self._config.cluster, self._held)
        return self._pool

    def _close_pool(self) -> None:
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    # Heads

    def _write_untrained_heads(self) -> None:
        if self._config.training.init_heads:
            heads, _ = load_heads(self._config.training.init_heads)
        else:
            heads = init_heads(self._config.heads, self._backbone.width, self._config.run.seed)
        self._held.check()
        save_heads(heads, self.folder.heads(0), self._heads_info)

    def _head_files(self, round_number: int) -> list[str]:
        return [storage.join(self.folder.heads(round_number), name) for name in (WEIGHTS, INFO)]

    @property
    def _heads_info(self) -> HeadsInfo:
        backbone, heads = self._config.backbone, self._config.heads
        return HeadsInfo(
            backbone=BackboneInfo(
                path=backbone.path, revision=backbone.revision, layer=backbone.layer
            ),
            features_width=self._backbone.width,
            dim=heads.dim,
            kind=heads.kind,
            shared=heads.shared,
            page_prompt=backbone.page_prompt,
            query_prefix=backbone.query_prefix,
            query_augmentation_tokens=backbone.query_augmentation_tokens,
            max_tiles=backbone.max_tiles,
            stores=dict(self.recorded.catalog.stores),
        )
