"""Which feature store a dataset has under a configuration."""

from typing import Any

from colintern import storage
from colintern.config.schema import Config, DatasetConfig, datasets
from colintern.data.content import DatasetContent
from colintern.features.codec import codec_of
from colintern.features.plan import StoreTarget
from colintern.features.store import CORPUS_HASHES, store_path
from colintern.model.backbone import BackboneIdentity
from colintern.model.basis import BasisFile

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
        "dataset_path": dataset.path,
        "dataset_revision": dataset.revision,
    }
    path = store_path(config.features_root, dataset.name, identity)
    content = DatasetContent(dataset.path, storage.join(path, CORPUS_HASHES))
    codec = codec_of(config.features, backbone, basis)
    return StoreTarget(dataset, path, identity, content, codec)


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
