"""Which feature store a dataset has under a configuration."""

from typing import Any

from colintern import storage
from colintern.config.schema import BackboneConfig, Config, DatasetConfig, datasets
from colintern.data.content import DatasetContent
from colintern.features.plan import StoreTarget
from colintern.features.store import CORPUS_HASHES, store_path
from colintern.model.backbone import BackboneIdentity

BACKBONE_HASH = "backbone_sha256"  # among the inputs of every store


def store_target(config: Config, dataset: DatasetConfig, backbone: BackboneIdentity) -> StoreTarget:
    """The feature store of a dataset under this configuration."""
    identity = {
        BACKBONE_HASH: backbone.checkpoint_sha256,
        **{f"backbone.{key}": value for key, value in _backbone_keys(config.backbone).items()},
        "features.dtype": config.features.dtype,
        "features.pca_dim": config.features.pca_dim,
        "dataset_path": dataset.path,
        "dataset_revision": dataset.revision,
    }
    if backbone.joins_prefix:  # else the ids are those of versions that tokenised the prefix alone
        identity["query_tokens"] = "joined"
    path = store_path(config.features_root, dataset.name, identity)
    content = DatasetContent(dataset.path, storage.join(path, CORPUS_HASHES))
    return StoreTarget(dataset=dataset, path=path, identity=identity, content=content)


def store_targets(config: Config, backbone: BackboneIdentity) -> dict[str, StoreTarget]:
    """The feature stores of all datasets of a run, by the dataset's name."""
    return {
        dataset.name: store_target(config, dataset, backbone) for dataset in datasets(config.data)
    }


def _backbone_keys(backbone: BackboneConfig) -> dict[str, Any]:
    """The backbone's settings; its path is left out, its content hash says more."""
    return {key: value for key, value in backbone.as_inputs().items() if key != "path"}
