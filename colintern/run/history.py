"""What a run has recorded, held against what its configuration would give now."""

from collections.abc import Iterator
from typing import Any

from colintern import records, storage
from colintern.config.schema import DEV, Config, evaluated_names
from colintern.errors import DamagedShardError, DriftError, MissingStageError
from colintern.evaluation.asked import is_as_asked
from colintern.features.catalog import Catalog, Snapshot
from colintern.features.manifest import MANIFEST, has_manifest
from colintern.features.plan import StoreTarget
from colintern.features.store import RECORD, FeatureStore, manifests_of
from colintern.features.whole import is_whole
from colintern.model.backbone import BackboneIdentity
from colintern.model.heads import heads_sha256
from colintern.records import Inputs
from colintern.records.run_folder import (
    RunFolder,
    encode_stage,
    evaluate_stage,
    mine_stage,
    train_stage,
)
from colintern.run.stages import (
    evaluate_inputs,
    heads_inputs,
    mine_inputs,
    store_targets,
    train_inputs,
)


class Recorded:
    """The stages of one run: which are recorded, and from which inputs each would be made now.

    Args:
        config: with every dataset resolved to a canonical folder.
        backbone: the identity of the frozen backbone.
    """

    def __init__(self, config: Config, backbone: BackboneIdentity) -> None:
        self.folder = RunFolder(config.run_path)
        self.targets = store_targets(config, backbone)
        self._config = config
        self._catalog: Catalog | None = None

    @property
    def catalog(self) -> Catalog:
        """Where the run reads its datasets and their features."""
        stores = {name: target.path for name, target in self.targets.items()}
        snapshots = {
            name: Snapshot(self._manifests(name), target.content.questions)
            for name, target in self.targets.items()
        }
        found = Catalog(self._config.data, self._config.run.seed, stores, snapshots)
        if found != self._catalog:
            self._catalog = found  # else the one before, which has its datasets open
        return self._catalog

    # Asking

    def is_recorded(self, stage: str) -> bool:
        """Whether a stage is finished."""
        return self.folder.record(stage) is not None

    def is_done(self, stage: str, inputs: Inputs) -> bool:
        """Whether a stage is finished, and would come out the same now.

        Raises:
            DriftError: it is finished, but would come out otherwise.
        """
        record = self.folder.record(stage)
        if record is not None:
            records.check_drift(stage, record, inputs)
        return record is not None

    def is_encoded(self, target: StoreTarget) -> bool:
        """Whether a dataset is encoded, and its store still there.

        Raises:
            DriftError: it would come out otherwise now, or another run has grown the store since.
        """
        return self._is_recorded_with(target) and self._stands(target)

    def is_mended(self, target: StoreTarget) -> bool:
        """Whether all that the run has recorded of a store can be read again, now that it is made.

        The store may have a newer manifest by then: a shard of an earlier version that is made
        again says more of its pages. The run stays with the one that its stages are made from.
        """
        manifests = self._manifests(target.dataset.name)
        if not manifests:
            return False
        try:
            FeatureStore(target.path, manifests)
        except (MissingStageError, DamagedShardError):
            return False
        return True

    def mines(self, round_number: int) -> bool:
        """Whether a round trains on mined negatives."""
        return round_number > 1 and self._config.training.negatives_per_query > 0

    def is_measured(self, round_number: int, dataset: str) -> bool:
        """Whether a round is measured on a dataset, and just as the settings ask now.

        Other settings of `evaluation` are no drift: the round is measured again.
        """
        path = self.folder.evaluation(round_number, dataset)
        if not self.is_recorded(evaluate_stage(round_number, dataset)) or not storage.exists(path):
            return False
        return is_as_asked(storage.read_json(path), self._config.evaluation)

    def is_measured_on_all(self, round_number: int) -> bool:
        """Whether a round is measured on dev and every test set, as the settings ask."""
        names = evaluated_names(self._config.data)
        return all(self.is_measured(round_number, name) for name in names)

    # Demanding

    def check_drift(self) -> None:
        """Make sure that the configuration still gives every recorded stage.

        The inputs of rounds are read from the stores. While one that is recorded is gone, only
        encoding is checked: it makes the store again, and then every stage checks itself.

        Raises:
            DriftError: it does not.
        """
        train = self._config.data.train
        if not self.is_recorded(encode_stage(train.name)) and self._has_rounds():
            raise DriftError(
                f"{self.folder.path}: its rounds are made from another training set than "
                f"data.train={train.name}; set it back, or take another run.name"
            )
        recorded = [target for target in self.targets.values() if self._is_recorded_with(target)]
        if all(target.is_finished() for target in recorded):
            for stage, inputs in self.stages_of_rounds():
                self.is_done(stage, inputs)

    def require(self, stage: str, command: str) -> None:
        """Make sure that an earlier stage is recorded.

        Raises:
            MissingStageError: it is not; the message names the command that makes it.
        """
        if not self.is_recorded(stage):
            raise MissingStageError(
                f"{self.folder.path}: stage {stage} is missing; run first: colintern {command}"
            )

    def require_encoded(self) -> None:
        """Make sure that every dataset is encoded, as all other stages need."""
        for name in self.targets:
            self.require(encode_stage(name), "encode")

    # Inputs of stages

    def train_inputs(self, round_number: int, *, with_triples: bool = True) -> dict[str, Any]:
        """What a round's heads would be made from now."""
        triples = None
        if with_triples and self.mines(round_number):
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

    def mine_inputs(self, round_number: int) -> dict[str, Any]:
        """What a round's triples would be made from now."""
        return mine_inputs(
            self._config,
            features=self._features_hash(self._config.data.train.name),
            held_out=self._held_out_hash(),
            heads=self._heads_hash(round_number - 1),
        )

    def evaluate_inputs(self, round_number: int, dataset: str) -> dict[str, Any]:
        """What the evaluation of a round on a dataset would be made from now."""
        is_split = dataset == DEV and self._config.data.dev is None
        inputs = evaluate_inputs(
            self._config,
            features=self._features_hash(self._config.data.train.name if is_split else dataset),
            heads=self._heads_hash(round_number),
        )
        return {**inputs, **heads_inputs(self._config)} if round_number == 0 else inputs

    def stages_of_rounds(self) -> Iterator[tuple[str, Inputs]]:
        """The recorded stages of all rounds, in order, with the inputs they would have now."""
        if not self.is_recorded(encode_stage(self._config.data.train.name)):
            return
        round_number = 0
        while True:
            is_mined = self.mines(round_number) and self.is_recorded(mine_stage(round_number))
            if is_mined:
                yield mine_stage(round_number), self.mine_inputs(round_number)
            if round_number and not self.is_recorded(train_stage(round_number)):
                return
            if round_number:
                inputs = self.train_inputs(round_number, with_triples=is_mined)
                yield train_stage(round_number), inputs
            for name in evaluated_names(self._config.data):
                is_encoded = name not in self.targets or self.is_recorded(encode_stage(name))
                if is_encoded and self.is_recorded(evaluate_stage(round_number, name)):
                    inputs = self.evaluate_inputs(round_number, name)
                    yield evaluate_stage(round_number, name), inputs
            round_number += 1

    def _is_recorded_with(self, target: StoreTarget) -> bool:
        """Whether the encoding of a dataset is recorded, of what it holds now.

        Raises:
            DriftError: it is recorded of something else.
        """
        stage = encode_stage(target.dataset.name)
        record = self.folder.record(stage)
        return record is not None and self.is_done(stage, target.inputs_like(record))

    def _has_rounds(self) -> bool:
        names = evaluated_names(self._config.data)
        first = [train_stage(1), *(evaluate_stage(0, name) for name in names)]
        return any(map(self.is_recorded, first))

    def _features_hash(self, dataset: str) -> str:
        """The hash of the manifests that the run has recorded for a dataset."""
        self.require(encode_stage(dataset), "encode")
        manifests = self._manifests(dataset).items()
        return records.fingerprint({f"{part}/{MANIFEST}": sha256 for part, sha256 in manifests})

    def _manifests(self, dataset: str) -> dict[str, str]:
        """`pages` and `queries` to the recorded hash of their manifest; empty until then."""
        record = self.folder.record(encode_stage(dataset))
        found = manifests_of(record).items() if record else ()
        return {part: output.sha256 for part, output in found if output.sha256}

    def _held_out_hash(self) -> str | None:
        """That of the training pages that answer dev; None also until dev is encoded."""
        if DEV not in self.targets or not self.is_recorded(encode_stage(DEV)):
            return None
        pages = self.catalog.pages_held_out()
        return records.fingerprint({"pages": pages}) if pages else None

    def _heads_hash(self, round_number: int) -> str:
        if round_number == 0:  # made from the configuration, before any stage
            given = self._config.training.init_heads
            return heads_sha256(given) if given else records.fingerprint(heads_inputs(self._config))
        self.require(train_stage(round_number), f"train --round {round_number}")
        return heads_sha256(self.folder.heads(round_number))

    def _stands(self, target: StoreTarget) -> bool:
        """Whether the store that the run has recorded is there, and whole.

        Raises:
            DriftError: it is there, but another run has grown it since.
        """
        recorded = self._manifests(target.dataset.name)
        lost = [
            part
            for part, sha256 in recorded.items()
            if not has_manifest(storage.join(target.path, part), sha256)
        ]
        store = records.read_record(storage.join(target.path, RECORD))
        for part in lost:
            if store and manifests_of(store)[part].sha256 != recorded[part]:
                raise DriftError(
                    f"{storage.join(target.path, part)}: is not what this run was made from; the "
                    "dataset has changed since: take another run.name"
                )
        return store is not None and not lost and is_whole(target.path, store)
