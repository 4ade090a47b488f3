"""The basis of `features.pca_dim`: a prerequisite of stores, made on first use and then kept.

It stands in `{features.root}/basis-{8 hex}/`, a record beside it. It is fitted on the training set
as that is at first, and stays when the set grows, as features that are stored in it stay. One that
is lost is taken from the training set's store, which has a copy: a new one would differ, by pages
that were added or by another machine's rounding, so that no store and no head would fit it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from colintern import log, records, storage
from colintern.config.schema import Config
from colintern.errors import MissingStageError, StorageError
from colintern.features.basis_sample import BasisTask
from colintern.features.codec import check_pca_dim
from colintern.features.store import RECORD, store_path
from colintern.model.backbone import BackboneIdentity
from colintern.model.basis import BASIS, BasisFile
from colintern.records import Inputs, Record, lease
from colintern.records.run_folder import RunFolder
from colintern.runs.dataset_place import DATASET_PATH, differs_in_place_only, is_place_of, place_of
from colintern.runs.stages import Encode
from colintern.runs.stores import backbone_inputs

if TYPE_CHECKING:
    from colintern.runs.workers import Workers


def ensure_basis(config: Config, backbone: BackboneIdentity, workers: Workers) -> BasisFile | None:
    """The basis of a configuration, which is made first if it is missing or damaged.

    Args:
        config: with every dataset resolved to a canonical folder.
        backbone: whose features it is of.
        workers: one of whom encodes a sample.

    Returns:
        None without `features.pca_dim`.

    Raises:
        ConfigError: `features.pca_dim` is larger than the width of the backbone.
    """
    dim = config.features.pca_dim
    if dim is None:
        return None
    check_pca_dim(config.features, backbone)
    inputs = _inputs(config, backbone)
    folder = _folder(config, inputs)
    if found := _found(folder):
        return found
    with lease.held(folder, wait=True) as held:
        if found := _found(folder):
            return found
        started_at = records.now()
        if copy := _copy_in_a_store(config, inputs):
            log.say("encode", "the basis is taken from %s", copy.path)
            copy.copy_to(folder)
        else:
            log.say(
                "encode", "fitting a basis of %d components on a sample of the training set", dim
            )
            path = storage.join(folder, BASIS)
            workers.fit_basis(BasisTask(config.data.train.path, dim, path), config, held)
        held.check()
        records.write_record(storage.join(folder, RECORD), folder, inputs, [BASIS], started_at)
    made = _found(folder)
    assert made is not None
    return made


def known_basis(config: Config, backbone: BackboneIdentity) -> BasisFile | None:
    """The basis of a run that has one already; None without `features.pca_dim`.

    Raises:
        MissingStageError: it is gone or damaged.
    """
    if config.features.pca_dim is None:
        return None
    folder = _folder(config, _inputs(config, backbone))
    if found := _found(folder):
        return found
    raise MissingStageError(
        f"{folder}: the basis of features.pca_dim is missing or damaged; run first: "
        "colintern encode --config ..."
    )


def has_to_be_made(config: Config, backbone: BackboneIdentity) -> bool:
    """Whether a configuration needs a basis that is not there, or damaged."""
    is_needed = config.features.pca_dim is not None
    return is_needed and _found(_folder(config, _inputs(config, backbone))) is None


def recorded_basis(config: Config) -> BasisFile:
    """What a run has recorded of its basis, whether that is there or not, to hold settings against.

    Of a run that has recorded none it is nameless.
    """
    record = RunFolder(config.run_path).record(Encode(config.data.train.name).name)
    return BasisFile("", (record.inputs if record else {}).get("features.basis_sha256", ""))


def _found(folder: str) -> BasisFile | None:
    """The basis in a folder, if it is there as it was recorded."""
    record, path = _record_in(folder), storage.join(folder, BASIS)
    if record is None or not storage.exists(path):
        return None
    sha256 = record.outputs[0].sha256
    if sha256 is None or storage.sha256_of_file(path) != sha256:
        return None
    return BasisFile(path, sha256)


def _copy_in_a_store(config: Config, inputs: Inputs) -> BasisFile | None:
    """The same basis, undamaged, beside features of the training set that are stored in it."""
    for name in storage.list_folders(config.features_root):
        if not name.startswith(f"{config.data.train.name}-"):
            continue
        store = storage.join(config.features_root, name)
        with suppress(StorageError):  # one that is damaged is no help
            record = records.read_record(storage.join(store, RECORD))
            recorded = record.inputs if record else {}
            copy = BasisFile(storage.join(store, BASIS), recorded.get("features.basis_sha256", ""))
            is_ours = _is_own(copy, config) or _is_placed(recorded, config)
            if copy.sha256 and is_ours and _is_told_by(recorded, inputs):
                copy.read()
                return copy
    return None


def _folder(config: Config, inputs: Inputs) -> str:
    """Where the basis stands, or will.

    One that was made when the root had another name is known by its hash, if the run has recorded
    that, else by the place of the training set below the root.
    """
    today = store_path(config.features_root, "basis", inputs)
    placed = None
    for name in storage.list_folders(config.features_root):
        folder, record = storage.join(config.features_root, name), None
        if name.startswith("basis-") and folder != today:
            with suppress(StorageError):  # one that is damaged is that of no run that can use it
                record = _record_in(folder)
        if record is None or not _is_told_by(record.inputs, inputs):
            continue
        if _is_own(BasisFile(folder, record.outputs[0].sha256 or ""), config):
            return folder
        if _is_placed(record.inputs, config):
            placed = folder
    return today if placed is None or _record_in(today) else placed


def _record_in(folder: str) -> Record | None:
    return records.read_record(storage.join(folder, RECORD))


def _is_told_by(recorded: Inputs, inputs: Inputs) -> bool:
    """Whether a record says what a basis is told by, perhaps with another place of its dataset."""
    return differs_in_place_only({key: recorded.get(key) for key in inputs}, inputs)


def _is_own(basis: BasisFile, config: Config) -> bool:
    """Whether it is the basis that the run has recorded."""
    return basis.sha256 != "" and basis.sha256 == recorded_basis(config).sha256


def _is_placed(recorded: Inputs, config: Config) -> bool:
    """Whether the training set stands where a record says."""
    path, root = config.data.train.path, config.features_root
    return is_place_of(recorded.get(DATASET_PATH) or "", path, root)


def _inputs(config: Config, backbone: BackboneIdentity) -> dict[str, Any]:
    """What the basis is told by; of the training set that is its place, not its pages."""
    train = config.data.train
    return {
        **backbone_inputs(config, backbone),
        "features.pca_dim": config.features.pca_dim,
        DATASET_PATH: place_of(train.path, config),
        "dataset_revision": train.revision,
    }
