"""Which feature store a dataset has under a configuration.

It is the one whose name tells all that its features depend on, or one that was made of the same
dataset when that stood elsewhere: a root may have been moved.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from colintern import storage
from colintern.config.schema import Config, DatasetConfig, datasets
from colintern.data.content import DatasetContent
from colintern.errors import StorageError
from colintern.features.codec import codec_of
from colintern.features.plan import StoreTarget
from colintern.features.store import CORPUS_HASHES, RECORD, store_path
from colintern.model.backbone import BackboneIdentity
from colintern.model.basis import BasisFile
from colintern.records import Inputs, Record, read_record
from colintern.records.run_folder import RunFolder, encode_stage
from colintern.runs.dataset_place import (
    DATASET_PATH,
    differs_in_place_only,
    identity_of,
    place_like,
    place_of,
)

# Of the settings of features those that decide what is stored.
_STORED_KEYS = ("dtype", "pca_dim", "merge", "max_tokens_per_page")

BACKBONE_HASH = "backbone_sha256"  # among the inputs of every store


def store_target(
    config: Config,
    dataset: DatasetConfig,
    backbone: BackboneIdentity,
    basis: BasisFile | None = None,
) -> StoreTarget:
    """The feature store of a dataset under this configuration.

    Args:
        config: of the run.
        dataset: resolved to a canonical folder.
        backbone: whose features are stored.
        basis: of `features.pca_dim`, where that is set.
    """
    features = config.features.as_inputs()
    identity = {
        **backbone_inputs(config, backbone),
        **{f"features.{key}": features[key] for key in _STORED_KEYS if key in features},
        **({"features.basis_sha256": basis.sha256} if basis else {}),
        DATASET_PATH: place_of(dataset.path, config),
        "dataset_revision": dataset.revision,
    }
    codec = codec_of(config.features, backbone, basis)

    def target_of(inputs: Inputs) -> StoreTarget:
        path = store_path(config.features_root, dataset.name, inputs)
        content = DatasetContent(dataset.path, storage.join(path, CORPUS_HASHES))
        return StoreTarget(dataset, path, inputs, content, codec)

    own = RunFolder(config.run_path).record(encode_stage(dataset.name))
    for record in [own] if own else _records_of_others(config, dataset, identity):
        like = place_like(
            record,
            identity,
            dataset.path,
            config.features_root,
            lambda inputs, record=record: target_of(inputs).is_held_by(record),
        )
        if like != identity:
            return target_of(like)
    return target_of(identity if own else _begun(config, dataset, identity))


def _records_of_others(
    config: Config, dataset: DatasetConfig, identity: Inputs
) -> Iterator[Record]:
    """Records of stores that may be of this dataset at another place.

    None where the store of today's name is there.
    """
    root = config.features_root
    names, pattern = storage.list_folders(root), rf"{re.escape(dataset.name)}-[0-9a-f]{{8}}"
    if store_path("", dataset.name, identity) in names:
        return
    for name in names:
        if re.fullmatch(pattern, name):
            found = None
            with suppress(StorageError):  # a damaged one is that of no store that can be used
                found = read_record(storage.join(root, name, RECORD))
            if found and differs_in_place_only(identity_of(found), identity):
                yield found


def _begun(config: Config, dataset: DatasetConfig, identity: Inputs) -> Inputs:
    """The identity as an earlier version has it, where that has begun a store, else today's."""
    earlier = {**identity, DATASET_PATH: dataset.path}
    names = storage.list_folders(config.features_root)
    today, before = (store_path("", dataset.name, one) in names for one in (identity, earlier))
    return earlier if before and not today else identity


def store_targets(
    config: Config, backbone: BackboneIdentity, basis: BasisFile | None = None
) -> dict[str, StoreTarget]:
    """The feature stores of all datasets of a run, by the dataset's name."""
    return {
        dataset.name: store_target(config, dataset, backbone, basis)
        for dataset in datasets(config.data)
    }


def backbone_inputs(config: Config, backbone: BackboneIdentity) -> dict[str, Any]:
    """What features depend on of the backbone; its path is left out, its hash says more."""
    keys = config.backbone.as_inputs().items()
    inputs = {
        "backbone_sha256": backbone.checkpoint_sha256,
        **{f"backbone.{key}": value for key, value in keys if key != "path"},
    }
    if backbone.joins_prefix:  # else the ids are those of versions that tokenised the prefix alone
        inputs["query_tokens"] = "joined"
    return inputs
