"""A finished run, opened to be used: its settings, the heads of one round, stores of features."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import count

from colintern import storage
from colintern.config.schema import Config, DatasetConfig, datasets
from colintern.data.resolve import resolved
from colintern.errors import (
    CheckpointError,
    DamagedShardError,
    DatasetError,
    DriftError,
    MissingStageError,
)
from colintern.features.codec import Codec, codec_of
from colintern.features.finish import finished_record
from colintern.features.manifest import has_manifest
from colintern.features.plan import StoreTarget
from colintern.features.store import RECORD, FeatureStore
from colintern.features.whole import is_whole
from colintern.model.backbone import BackboneIdentity, read_identity
from colintern.model.basis import BasisFile
from colintern.model.heads import Heads, HeadsInfo, load_heads
from colintern.records import read_record
from colintern.records.run_folder import RunFolder
from colintern.retrieval.at_work import workers_for
from colintern.runs.basis import known_basis
from colintern.runs.contents import store_use
from colintern.runs.opened import recorded_manifests
from colintern.runs.stages import Encode, Train
from colintern.runs.stages.train import trained_heads
from colintern.runs.stores import BACKBONE_HASH, store_target
from colintern.runs.workers import Workers


@dataclass(frozen=True)
class FinishedRun:
    """A run with a trained round, which is read and never changed.

    Attributes:
        folder: where the run stands now.
        config: what it was made with; root and name are those of `folder`.
        round_number: whose heads these are.
        heads: on the CPU.
        info: what is written beside the heads.
        backbone: whose features the heads take.
        basis: of `features.pca_dim`, where that is set.
    """

    folder: RunFolder
    config: Config
    round_number: int
    heads: Heads
    info: HeadsInfo
    backbone: BackboneIdentity
    basis: BasisFile | None

    @property
    def codec(self) -> Codec:
        """How its stores keep features."""
        return codec_of(self.config.features, self.backbone, self.basis)

    def dataset(self, name: str | None = None) -> DatasetConfig:
        """A dataset of the run, or another one.

        Args:
            name: that of a dataset of the run, or the path of any other one; None takes the first
                test set, or the training set.

        Raises:
            DatasetError: it is neither.
        """
        known = {dataset.name: dataset for dataset in datasets(self.config.data)}
        if name is None:
            return self.config.data.eval[0] if self.config.data.eval else self.config.data.train
        if name in known:
            return known[name]
        path = storage.absolute(name)
        if not storage.exists(path):
            raise DatasetError(
                f"--dataset {name}: neither a dataset of this run ({', '.join(known)}) nor a folder"
            )
        return resolved(DatasetConfig.model_validate(path), self.config)

    def target(self, dataset: DatasetConfig) -> StoreTarget:
        """The feature store that a dataset has, or would have."""
        return store_target(self.config, dataset, self.backbone, self.basis)

    def store(self, dataset: DatasetConfig, workers: Workers | None = None) -> FeatureStore:
        """The features of a dataset, which are made first where they are missing.

        Of a dataset of the run they are those that the run has recorded, though the dataset, or the
        store, may have grown since. The folder of such a dataset, given as a path, is read as it is
        now.

        Args:
            dataset: of `dataset`.
            workers: who encodes; None takes those of a Ray cluster, which is joined or started
                only when something has to be encoded.

        Raises:
            DriftError: the recorded features are lost, and the dataset is not what it was.
        """
        cache_bytes = self.config.features.cache_bytes
        is_own = any(dataset is own for own in datasets(self.config.data))
        recorded = recorded_manifests(self.folder, dataset.name) if is_own else {}
        if recorded:
            path = self._recorded_store(dataset)
            made = read_record(storage.join(path, RECORD))
            if made and is_whole(path, made):
                with suppress(MissingStageError, DamagedShardError):  # what is lost is made again
                    return FeatureStore(path, recorded, cache_bytes=cache_bytes)
        target = self.target(dataset)
        if finished_record(target, self.config.data.max_bad_fraction) is None:
            with workers_for(self.config, workers) as (config, chosen):
                chosen.encode([target], self.backbone, config)
        for part, sha256 in recorded.items():
            if not has_manifest(storage.join(target.path, part), sha256):
                raise DriftError(
                    f"{target.path}: the {part} that the run has recorded are lost, and the "
                    f"dataset has changed; to use it as it is now, give --dataset {dataset.path}"
                )
        return FeatureStore(target.path, recorded, cache_bytes=cache_bytes)

    def _recorded_store(self, dataset: DatasetConfig) -> str:
        """Where the recorded features of a dataset of the run are; the dataset may be gone."""
        record = self.folder.record(Encode(dataset.name).name)
        if record is None or not record.inputs:  # an early version did not say
            return self.target(dataset).path
        return storage.join(self.config.features_root, store_use(dataset.name, record).name)


def open_finished(run_path: str, round_number: int | None = None) -> FinishedRun:
    """Open a run with the heads of one round.

    Args:
        run_path: the run folder; it may have been moved since the run was made.
        round_number: whose heads; 0 is before training, None takes the best round.

    Raises:
        MissingStageError: that round, or any, is not trained; or the basis is gone.
        CheckpointError: the heads are lost or damaged.
        DriftError: the backbone is another one than that of the run.
    """
    folder = RunFolder(run_path)
    config = folder.read().config
    number = best_round(folder) if round_number is None else _checked(folder, round_number)
    if lost := trained_heads(number).lost_files(folder):
        raise CheckpointError(
            f"{lost[0]}: missing, or of another size than it was written with; to make it again, "
            "run colintern run with the settings of this run"
        )
    heads, info = load_heads(folder.heads(number))
    backbone = read_identity(config.backbone)
    _check_backbone(folder, config, backbone)
    basis = known_basis(config, backbone)
    return FinishedRun(folder, config, number, heads, info, backbone, basis)


def best_round(folder: RunFolder) -> int:
    """The best round by `loop.json`, or the last trained one of an unfinished run.

    Raises:
        MissingStageError: no round is trained.
    """
    if storage.exists(folder.loop_json):
        return int(storage.read_json(folder.loop_json)["best_round"])
    number = _last_trained(folder)
    if number == 0:
        raise MissingStageError(f"{folder.path}: no round is trained yet; run: colintern run")
    return number


def _last_trained(folder: RunFolder) -> int:
    """0 where none is trained."""
    return next(number for number in count(1) if not Train(number).is_recorded(folder)) - 1


def _checked(folder: RunFolder, number: int) -> int:
    last = _last_trained(folder)
    if not 0 <= number <= last:
        known = f"it has rounds 0 to {last}" if last else "no round is trained yet"
        raise MissingStageError(f"{folder.path}: has no round {number}; {known}")
    return number


def _check_backbone(folder: RunFolder, config: Config, backbone: BackboneIdentity) -> None:
    """Make sure that the backbone is still the one whose features the heads were trained on."""
    record = folder.record(Encode(config.data.train.name).name)
    recorded = record.inputs.get(BACKBONE_HASH) if record else None
    if recorded not in (None, backbone.checkpoint_sha256):
        raise DriftError(
            f"backbone.path={config.backbone.path}: is not the checkpoint that the heads of "
            f"{folder.path} were trained on; put that one back"
        )
