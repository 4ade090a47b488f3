"""One driver at work on one run, stage by stage; a stage that is recorded is not done again."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from colintern import log, records, storage
from colintern.config import Config
from colintern.errors import CheckpointError, DriftError, MissingStageError
from colintern.evaluation.decision import METRIC, RoundDecision, decide, loop_document
from colintern.evaluation.evaluate import judged_again
from colintern.evaluation.report import write_report
from colintern.features.catalog import DEV, Catalog, datasets, evaluated_names
from colintern.features.encoding import StoreTarget
from colintern.features.store import MANIFEST, PAGES, QUERIES, RECORD
from colintern.lease import Held
from colintern.model.backbone import BackboneIdentity
from colintern.model.heads import (
    INFO,
    WEIGHTS,
    BackboneInfo,
    HeadsInfo,
    heads_sha256,
    init_heads,
    load_heads,
    save_heads,
)
from colintern.progress import say_metrics, say_mined, say_queries, say_step
from colintern.records import Inputs
from colintern.run_folder import (
    REPORT_STAGE,
    RunFolder,
    encode_stage,
    evaluate_stage,
    mine_stage,
    train_stage,
)
from colintern.runtime.cluster import Cluster
from colintern.runtime.encode import encode_stores
from colintern.runtime.relay import relayed
from colintern.runtime.search_pool import EvaluateTask, MineTask, SearchPool
from colintern.runtime.train import train
from colintern.stages import (
    evaluate_inputs,
    heads_inputs,
    mine_inputs,
    store_target,
    train_inputs,
)
from colintern.training.loop import RoundTask
from colintern.versions import commit, versions


def check_init_heads(config: Config, backbone: BackboneIdentity) -> None:
    """Make sure that `training.init_heads` fits the configuration and the backbone.

    Raises:
        CheckpointError: it cannot be loaded, or has another shape than the configuration asks for.
    """
    folder = config.training.init_heads
    assert folder is not None
    _, info = load_heads(folder)
    wanted = {
        "heads.kind": (config.heads.kind, info.kind),
        "heads.dim": (config.heads.dim, info.dim),
        "heads.shared": (config.heads.shared, info.shared),
        "backbone.layer": (config.backbone.layer, info.backbone.layer),
        "the backbone's width": (backbone.width, info.features_width),
    }
    for key, (asked, found) in wanted.items():
        if asked != found:
            raise CheckpointError(
                f"training.init_heads={folder}: made for {key}={found}, not {asked}; "
                "change the setting, or take other heads"
            )


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
        self.folder = RunFolder(config.run_path)
        self._config = config
        self._backbone = backbone
        self._cluster = cluster
        self._held = held
        self._pool: SearchPool | None = None
        self._targets = {
            dataset.name: store_target(config, dataset, backbone)
            for dataset in datasets(config.data)
        }

    # Stages

    def encode(self) -> None:
        """Compute the features of every dataset that has none yet."""
        missing = [
            target
            for name, target in self._targets.items()
            if not self._is_done(encode_stage(name), target.inputs) or not self._stands(target)
        ]
        started_at = records.now()
        unfinished = [target for target in missing if not target.is_finished()]
        if unfinished:
            self._cluster.ensure()
            encode_stores(unfinished, self._backbone, self._config)
        for target in missing:
            self._record_encoding(target, started_at)
        if missing:
            self._say_shared_pages()

    def train(self, round_number: int) -> None:
        """Train a round's heads from those of the round before."""
        stage, inputs = train_stage(round_number), self._train_inputs(round_number)
        if self._is_done(stage, inputs):
            return
        self._close_pool()
        self._cluster.ensure()
        if round_number == 1:
            self._write_untrained_heads()
        task = RoundTask(
            round_number=round_number,
            seed=self._config.run.seed,
            catalog=self._catalog,
            training=self._config.training,
            first_heads=self.folder.heads(round_number - 1),
            triples=self.folder.triples(round_number) if self._mines(round_number) else None,
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
        if not self._mines(round_number):
            log.warn_once("mine", "training.negatives_per_query=0: nothing is mined")
            return
        stage, inputs = mine_stage(round_number), self._mine_inputs(round_number)
        if self._is_done(stage, inputs):
            return
        task = MineTask(
            catalog=self._catalog,
            heads_folder=self.folder.heads(round_number - 1),
            settings=self._config.mining,
            seed=self._config.run.seed,
            triples_path=self.folder.triples(round_number),
            mining_path=self.folder.mining(round_number),
            held=self._held,
        )

        def work() -> None:
            with relayed(lambda news: say_queries("mine", round_number, "train", news)) as tell:
                say_mined(round_number, self._search_pool().mine(task, tell))

        self._do(stage, inputs, [task.triples_path, task.mining_path], work)

    def evaluate(self, round_number: int) -> None:
        """Measure a round on dev and on every test set."""
        for name in evaluated_names(self._config.data):
            stage = evaluate_stage(round_number, name)
            inputs = self._evaluate_inputs(round_number, name)
            if self._is_done(stage, inputs):
                continue
            if round_number == 0:
                self._write_untrained_heads()
            task = EvaluateTask(
                catalog=self._catalog,
                dataset=name,
                heads_folder=self.folder.heads(round_number),
                settings=self._config.evaluation,
                round_number=round_number,
                seed=self._config.run.seed,
                json_path=self.folder.evaluation(round_number, name),
                parquet_path=self.folder.results(round_number, name),
                held=self._held,
            )

            def work(task: EvaluateTask = task) -> None:
                with relayed(lambda _: None) as tell:
                    say_metrics(self._search_pool().evaluate(task, tell))

            self._do(stage, inputs, [task.json_path, task.parquet_path], work)

    def decide(self) -> RoundDecision:
        """Write `loop.json` from the rounds evaluated so far, and say what follows.

        Only dev is looked at: test sets never steer training.
        """
        view, _ = self._catalog.evaluated("dev")
        values = []
        for round_number in range(self._config.loop.max_rounds + 1):
            if self.folder.record(evaluate_stage(round_number, "dev")) is None:
                break
            results = self.folder.results(round_number, "dev")
            values.append(judged_again(results, view.judgements).values[METRIC])
        decisions = decide(values, self._config.loop, self._config.run.seed)
        self._held.check()
        storage.write_json(self.folder.loop_json, loop_document(decisions))
        last = decisions[-1]
        log.say("loop", "round %d: %s; %s", last.round, last.reason, last.decision)
        return last

    def report(self) -> None:
        """Write `report.html`, unless it shows just this run already."""
        shown = [
            *(encode_stage(name) for name in self._targets),
            *(stage for stage, _ in self._recorded_stages()),
        ]
        inputs = {stage: record.fingerprint for stage in shown if (record := self._record(stage))}
        inputs["loop"] = storage.sha256_of_file(self.folder.loop_json)
        record = self._record(REPORT_STAGE)
        if record and record.fingerprint == records.fingerprint(inputs):
            return
        started_at = records.now()
        path = write_report(self.folder.path)
        self._commit(REPORT_STAGE, inputs, [path], started_at)
        log.say("report", "%s", path)

    def close(self) -> None:
        """End the actors of this driver."""
        self._close_pool()

    # Checks before work

    def check_drift(self) -> None:
        """Make sure that the configuration still gives every recorded stage.

        The inputs of rounds are read from the stores. While one that is recorded is gone, only
        encoding is checked: it makes the store again, and then every stage checks itself.

        Raises:
            DriftError: it does not.
        """
        recorded = [
            target
            for name, target in self._targets.items()
            if self._is_done(encode_stage(name), target.inputs)
        ]
        if all(target.is_finished() for target in recorded):
            for stage, inputs in self._recorded_stages():
                self._is_done(stage, inputs)

    def write_run_json(self) -> None:
        """Write down the resolved configuration, the versions and the commit."""
        document = {
            "config": self._config.model_dump(mode="json"),
            "versions": versions(),
            "commit": commit(),
        }
        storage.write_json(self.folder.run_json, document)

    def require(self, stage: str, command: str) -> None:
        """Make sure that an earlier stage is recorded.

        Raises:
            MissingStageError: it is not; the message names the command that makes it.
        """
        if self._record(stage) is None:
            raise MissingStageError(
                f"{self.folder.path}: stage {stage} is missing; run first: colintern {command}"
            )

    def require_encoded(self) -> None:
        """Make sure that every dataset is encoded, as all other stages need."""
        for name in self._targets:
            self.require(encode_stage(name), "encode")

    def first_unrecorded(self, stages_of: Callable[[int], Sequence[str]], first: int) -> int:
        """The first round, from `first` on, of which a stage is not recorded."""
        number = first
        while all(self._record(stage) is not None for stage in stages_of(number)):
            number += 1
        return number

    def evaluate_stages(self, round_number: int) -> list[str]:
        """The stages that measure a round: dev and every test set."""
        return [evaluate_stage(round_number, name) for name in evaluated_names(self._config.data)]

    # Inputs of stages

    def _train_inputs(self, round_number: int, *, with_triples: bool = True) -> dict[str, Any]:
        triples = None
        if with_triples and self._mines(round_number):
            self.require(mine_stage(round_number), f"mine --round {round_number}")
            triples = storage.sha256_of_file(self.folder.triples(round_number))
        inputs = train_inputs(
            self._config,
            round_number,
            features=self._features_hash(self._config.data.train.name),
            held_out=self._held_out_hash(),
            first_heads=self._heads_hash(round_number - 1),
            triples=triples,
        )
        return {**inputs, **heads_inputs(self._config)} if round_number == 1 else inputs

    def _mine_inputs(self, round_number: int) -> dict[str, Any]:
        return mine_inputs(
            self._config,
            features=self._features_hash(self._config.data.train.name),
            held_out=self._held_out_hash(),
            heads=self._heads_hash(round_number - 1),
        )

    def _evaluate_inputs(self, round_number: int, dataset: str) -> dict[str, Any]:
        is_split = dataset == "dev" and self._config.data.dev is None
        inputs = evaluate_inputs(
            self._config,
            features=self._features_hash(self._config.data.train.name if is_split else dataset),
            heads=self._heads_hash(round_number),
        )
        return {**inputs, **heads_inputs(self._config)} if round_number == 0 else inputs

    def _recorded_stages(self) -> Iterator[tuple[str, Inputs]]:
        """The recorded stages of all rounds, in order, with the inputs they would have now."""
        if self._record(encode_stage(self._config.data.train.name)) is None:
            return
        round_number = 0
        while True:
            if self._mines(round_number) and self._record(mine_stage(round_number)):
                yield mine_stage(round_number), self._mine_inputs(round_number)
            if round_number and self._record(train_stage(round_number)) is None:
                return
            if round_number:
                is_mined = self._record(mine_stage(round_number)) is not None
                inputs = self._train_inputs(round_number, with_triples=is_mined)
                yield train_stage(round_number), inputs
            for name in evaluated_names(self._config.data):
                is_encoded = name not in self._targets or self._record(encode_stage(name))
                if is_encoded and self._record(evaluate_stage(round_number, name)):
                    inputs = self._evaluate_inputs(round_number, name)
                    yield evaluate_stage(round_number, name), inputs
            round_number += 1

    def _mines(self, round_number: int) -> bool:
        return round_number > 1 and self._config.training.negatives_per_query > 0

    def _features_hash(self, dataset: str) -> str:
        """The hash of the manifests that the run has recorded for a dataset."""
        stage = encode_stage(dataset)
        self.require(stage, "encode")
        record = self._record(stage)
        assert record is not None
        manifests = (output for output in record.outputs if output.path.endswith(MANIFEST))
        return records.fingerprint({output.path: output.sha256 for output in manifests})

    def _held_out_hash(self) -> str | None:
        """That of the training pages that answer dev; None also until dev is encoded."""
        if DEV not in self._targets or self._record(encode_stage(DEV)) is None:
            return None
        pages = self._catalog.pages_held_out()
        return records.fingerprint({"pages": pages}) if pages else None

    def _heads_hash(self, round_number: int) -> str:
        if round_number == 0:  # made from the configuration, before any stage
            given = self._config.training.init_heads
            return heads_sha256(given) if given else records.fingerprint(heads_inputs(self._config))
        self.require(train_stage(round_number), f"train --round {round_number}")
        return heads_sha256(self.folder.heads(round_number))

    # Doing and recording

    def _record(self, stage: str) -> records.Record | None:
        return self.folder.record(stage)

    def _is_done(self, stage: str, inputs: Inputs) -> bool:
        record = self._record(stage)
        if record is None:
            return False
        records.check_drift(stage, record, inputs)
        return True

    def _do(self, stage: str, inputs: Inputs, outputs: list[str], work: Callable[[], None]) -> None:
        self._cluster.ensure()
        started_at = records.now()
        work()
        self._commit(stage, inputs, outputs, started_at)

    def _commit(self, stage: str, inputs: Inputs, outputs: list[str], started_at: str) -> None:
        self._held.check()
        self.folder.write_record(stage, inputs, outputs, started_at)

    def _record_encoding(self, target: StoreTarget, started_at: str) -> None:
        """Note which manifests this run works from; they stand in the store, not in the run."""
        names = [f"{part}/{MANIFEST}" for part in (PAGES, QUERIES)]
        path = self.folder.file("records", f"{encode_stage(target.dataset.name)}.json")
        self._held.check()
        records.write_record(path, target.path, target.inputs, [*names, RECORD], started_at)

    def _say_shared_pages(self) -> None:
        """A test page that was trained on makes its test set too easy: the user should know."""
        if held_out := self._catalog.pages_held_out():
            log.say(
                "data",
                "%s: %d pages answer queries of dev and are neither trained on nor mined: %s",
                self._config.data.train.name,
                len(held_out),
                ", ".join(held_out[:3]),
            )
        for name in evaluated_names(self._config.data):
            if name in self._targets and (seen := self._catalog.pages_seen_in_training(name)):
                shown = ", ".join(seen[:3])
                log.say("data", "%s: %d pages are training pages too: %s", name, len(seen), shown)

    def _stands(self, target: StoreTarget) -> bool:
        """Whether the store that the run has recorded is there.

        Raises:
            DriftError: it is there, but another run has grown it since.
        """
        record = self._record(encode_stage(target.dataset.name))
        assert record is not None
        for output in record.outputs:
            path = storage.join(target.path, output.path)
            if not output.path.endswith(MANIFEST):
                continue
            if not storage.exists(path):
                return False
            if storage.sha256_of_file(path) != output.sha256:
                raise DriftError(
                    f"{path}: is not what this run was made from; the dataset has changed since: "
                    "take another run.name"
                )
        return True

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
        save_heads(heads, self.folder.heads(0), self._heads_info)

    def _head_files(self, round_number: int) -> list[str]:
        return [storage.join(self.folder.heads(round_number), name) for name in (WEIGHTS, INFO)]

    @property
    def _catalog(self) -> Catalog:
        stores = {name: target.path for name, target in self._targets.items()}
        return Catalog(self._config.data, self._config.run.seed, stores)

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
            stores=dict(self._catalog.stores),
        )
