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
from colintern.records import lease
from colintern.records.run_folder import RunFolder
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
    record, path = records.read_record(storage.join(folder, RECORD)), storage.join(folder, BASIS)
    if record is None or not storage.exists(path):
        return None
    sha256 = record.outputs[0].sha256
    if sha256 is None or storage.sha256_of_file(path) != sha256:
        return None
    return BasisFile(path, sha256)


def _copy_in_a_store(config: Config, inputs: dict[str, Any]) -> BasisFile | None:
    """The same basis, undamaged, beside features of the training set that are stored in it."""
    for name in storage.list_folders(config.features_root):
        if not name.startswith(f"{config.data.train.name}-"):
            continue
        store = storage.join(config.features_root, name)
        with suppress(StorageError):  # one that is damaged is no help
            record = records.read_record(storage.join(store, RECORD))
            recorded = record.inputs if record else {}
            own = {key: recorded.get(key) for key in inputs}
            sha256 = recorded.get("features.basis_sha256")
            if sha256 and records.fingerprint(own) == records.fingerprint(inputs):
                copy = BasisFile(storage.join(store, BASIS), sha256)
                copy.read()
                return copy
    return None


def _folder(config: Config, inputs: dict[str, Any]) -> str:
    return store_path(config.features_root, "basis", inputs)


def _inputs(config: Config, backbone: BackboneIdentity) -> dict[str, Any]:
    """What the basis is told by; of the training set that is its path, not its pages."""
    train = config.data.train
    return {
        **backbone_inputs(config, backbone),
        "features.pca_dim": config.features.pca_dim,
        "dataset_path": train.path,
        "dataset_revision": train.revision,
    }
