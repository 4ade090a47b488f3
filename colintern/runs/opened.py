"""A run, opened: its configuration and folder, its stores, and the hashes that stages record."""

from colintern import records, storage
from colintern.config.schema import DEV, Config
from colintern.errors import DamagedShardError, DriftError, MissingStageError
from colintern.features.catalog import Catalog, Snapshot
from colintern.features.changes import changes_since
from colintern.features.codec import codec_of
from colintern.features.manifest import MANIFEST, has_manifest
from colintern.features.store import RECORD, FeatureStore, manifests_of
from colintern.features.whole import is_whole
from colintern.model.backbone import BackboneIdentity
from colintern.model.basis import BasisFile
from colintern.model.heads import HeadsInfo, heads_info, heads_sha256
from colintern.records import Inputs, Record
from colintern.records.run_folder import RunFolder
from colintern.runs.stages import Encode, Mine, Stage, Train
from colintern.runs.stages.inputs import INIT_HEADS, heads_inputs
from colintern.runs.stores import store_targets


def recorded_manifests(folder: RunFolder, dataset: str) -> dict[str, str]:
    """`pages` and `queries` to the hash of the manifest that a run has recorded; empty until then.

    Args:
        folder: of the run.
        dataset: its name in the run.
    """
    record = folder.record(Encode(dataset).name)
    found = manifests_of(record).items() if record else ()
    return {part: output.sha256 for part, output in found if output.sha256}


class OpenedRun:
    """What the stages of one run are made from.

    Args:
        config: with every dataset resolved to a canonical folder.
        backbone: the identity of the frozen backbone.
        basis: of `features.pca_dim`, where that is set.

    Attributes:
        codec: how features are stored.
        folder: the run folder.
        targets: the feature store of every dataset, by the dataset's name.
    """

    def __init__(
        self, config: Config, backbone: BackboneIdentity, basis: BasisFile | None = None
    ) -> None:
        self.config = config
        self.backbone = backbone
        self.folder = RunFolder(config.run_path)
        self.codec = codec_of(config.features, backbone, basis)
        self.targets = store_targets(config, backbone, basis)
        self._catalog: Catalog | None = None
        self._manifest_hashes: dict[str, dict[str, str]] = {}
        self._held_out: tuple[Catalog, str | None] | None = None

    @property
    def catalog(self) -> Catalog:
        """Where the run reads its datasets and their features.

        The same one until another dataset is encoded.
        """
        snapshots = {
            name: Snapshot(self._manifests(name), target.content.questions)
            for name, target in self.targets.items()
        }
        if self._catalog is None or self._catalog.snapshots != snapshots:
            stores = {name: target.path for name, target in self.targets.items()}
            seed, cache_bytes = self.config.run.seed, self.config.features.cache_bytes
            self._catalog = Catalog(self.config.data, seed, stores, snapshots, cache_bytes)
        return self._catalog

    @property
    def heads_info(self) -> HeadsInfo:
        """What is written beside the heads of every round."""
        stores = {name: target.path for name, target in self.targets.items()}
        basis = self.codec.basis
        return heads_info(self.config, self.codec.width, stores, basis and basis.sha256)

    # Hashes of what stages have made

    def features_hash(self, dataset: str) -> str:
        """That of the manifests that the run has recorded for a dataset."""
        manifests = self._manifests(dataset).items()
        return records.fingerprint({f"{part}/{MANIFEST}": sha256 for part, sha256 in manifests})

    def heads_hash(self, round_number: int) -> str:
        """That of a round's heads; of the settings for random ones before round 1."""
        if round_number:
            weights = self.folder.head_files(round_number)[0]
            return self._hash_of(weights, Train(round_number))
        given = self.config.training.init_heads
        return heads_sha256(given) if given else records.fingerprint(heads_inputs(self.config))

    def as_recorded(self, record: Record, inputs: Inputs) -> Inputs:
        """Inputs in which the heads that are given are called as a record calls them.

        If they are those: their folder may have been moved. Every record that names it has their
        hash too.
        """
        recorded = record.inputs.get(INIT_HEADS)
        if not recorded or recorded == inputs.get(INIT_HEADS) or not inputs.get(INIT_HEADS):
            return inputs
        is_same = self.heads_hash(0) in record.inputs.values()
        return {**inputs, INIT_HEADS: recorded} if is_same else inputs

    def triples_hash(self, round_number: int) -> str:
        """That of the mined negatives that a round trains on."""
        return self._hash_of(self.folder.triples(round_number), Mine(round_number))

    def _hash_of(self, path: str, stage: Stage) -> str:
        """That of a file of the run; the recorded one of a file that is lost, and made again.

        Raises:
            DriftError: the file has other bytes than the stage has written.
        """
        record = self.folder.record(stage.name)
        outputs = record.outputs if record else ()
        recorded = next((o.sha256 for o in outputs if self.folder.file(o.path) == path), None)
        if path in stage.lost_files(self.folder):
            return recorded or ""
        found = storage.sha256_of_file(path)
        if recorded not in (None, found):
            raise DriftError(
                f"{path}: has other bytes than stage {stage.name} has written; put the file back, "
                "or remove it and run colintern run with the same settings, to make it again"
            )
        return found

    def held_out_hash(self) -> str | None:
        """That of the training pages that answer dev; None where there are none."""
        if DEV not in self.targets or not Encode(DEV).is_recorded(self.folder):
            return None
        catalog = self.catalog
        if self._held_out is None or self._held_out[0] is not catalog:
            pages = catalog.pages_held_out()
            self._held_out = catalog, records.fingerprint({"pages": pages}) if pages else None
        return self._held_out[1]

    def _manifests(self, dataset: str) -> dict[str, str]:
        """`pages` and `queries` to the recorded hash of their manifest; empty until then.

        Read once: nobody but this driver records anything, see `forget`.
        """
        if not self._manifest_hashes.get(dataset):
            self._manifest_hashes[dataset] = recorded_manifests(self.folder, dataset)
        return self._manifest_hashes[dataset]

    def forget(self) -> None:
        """Read records again when they are needed: one has been written."""
        self._manifest_hashes.clear()

    # Stores

    def has_store(self, dataset: str) -> bool:
        """Whether the store that the run has recorded is there, and whole.

        Raises:
            DriftError: it is there, but another run has grown it since.
        """
        path, recorded = self.targets[dataset].path, self._manifests(dataset)
        lost = [
            part
            for part, sha256 in recorded.items()
            if not has_manifest(storage.join(path, part), sha256)
        ]
        store = records.read_record(storage.join(path, RECORD))
        for part in lost:
            if store and manifests_of(store)[part].sha256 != recorded[part]:
                raise DriftError(
                    f"{storage.join(path, part)}: is not what this run started with; the "
                    f"dataset has changed: {self._remedy()}"
                )
        return store is not None and not lost and is_whole(path, store)

    def check_dataset(self, dataset: str, record: Record, inputs: Inputs) -> None:
        """Make sure that a dataset is what it was when it was encoded, if all else is.

        Args:
            dataset: its name in the run.
            record: the run's, of its encoding.
            inputs: what it would be encoded from now.

        Raises:
            DriftError: it has grown, or changed; the message says how, and how to go on.
        """
        target, names = self.targets[dataset], {*record.inputs, *inputs}
        differing = [name for name in names if record.inputs.get(name) != inputs.get(name)]
        if not record.inputs or not differing or not all(map(target.is_only_data, differing)):
            return
        try:
            found = changes_since(target.dataset.path, target.path, self._manifests(dataset)).told()
        except MissingStageError:  # of a store that is lost nobody knows what it held
            found = None
        told = found or " and ".join(sorted({_called(name) for name in differing}))
        raise DriftError(
            f"{self.folder.path}: the dataset {dataset} ({target.dataset.path}) has {told} since "
            f"this run began; {self._remedy()}"
        )

    def _remedy(self) -> str:
        """How to go on when a dataset is not what it was."""
        if not storage.exists(self.folder.loop_json):
            return "put it back, or choose another run.name"
        return (
            "to go on from its best heads with the data as they are now: colintern run "
            f"--continue-from {self.folder.path} run.name=NEW"
        )

    def can_read_store(self, dataset: str) -> bool:
        """Whether all that the run has recorded of a store can be read.

        The store may have a newer manifest: a shard of an earlier version that is made again says
        more of its pages. The run stays with the one that its stages are made from.
        """
        manifests = self._manifests(dataset)
        if not manifests:
            return False
        try:
            FeatureStore(self.targets[dataset].path, manifests)
        except (MissingStageError, DamagedShardError):
            return False
        return True


def _called(name: str) -> str:
    """What an input that says what a dataset holds is called, after "the dataset has"."""
    if "qrels" in name:
        return "other judgements"
    return "other files of questions" if "queries" in name else "other files of pages"
