"""What each stage is made from: the inputs that its record keeps and that may not change under it.

Keys that only say how fast or where (`cluster.*`, worker counts), how long to go on (`loop.*`) or
how to measure (`evaluation.*`) are no inputs and may change at any time; what was measured
otherwise is measured again (`evaluation.asked`). A key that came after a run was recorded counts as
its default there (`config.Section.as_inputs`).
"""

from typing import Any

from colintern import storage
from colintern.config.schema import BackboneConfig, Config, DatasetConfig, datasets
from colintern.data.content import DatasetContent
from colintern.features.plan import StoreTarget
from colintern.features.store import CORPUS_HASHES, store_path
from colintern.model.backbone import BackboneIdentity

_FREE_TRAINING_KEYS = {"num_workers", "checkpoint_every_steps", "init_heads", "epochs"}


def store_target(config: Config, dataset: DatasetConfig, backbone: BackboneIdentity) -> StoreTarget:
    """The feature store of a dataset under this configuration."""
    identity = {
        "backbone_sha256": backbone.checkpoint_sha256,
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


def heads_inputs(config: Config) -> dict[str, Any]:
    """What the untrained heads depend on."""
    return {
        "run.seed": config.run.seed,
        "training.init_heads": config.training.init_heads,
        **{f"heads.{key}": value for key, value in config.heads.as_inputs().items()},
    }


def train_inputs(
    config: Config,
    round_number: int,
    *,
    features: str,
    held_out: str | None,
    first_heads: str,
    triples: str | None,
) -> dict[str, Any]:
    """What a round's heads depend on; all but `config` and the round are content hashes.

    `held_out` is of the training pages that answer a dev set of its own; None when there are none.
    """
    training = config.training.as_inputs()
    keys = {key: value for key, value in training.items() if key not in _FREE_TRAINING_KEYS}
    if round_number == 1:
        del keys["negatives_per_query"]  # the first round has no mined negatives
    return {
        **_split_inputs(config),
        **_held_out(held_out),
        **{f"training.{key}": value for key, value in keys.items()},
        "training.epochs": config.training.epochs_of_round(round_number),
        "first_heads_sha256": first_heads,
        "train_features_sha256": features,
        "triples_sha256": triples,
    }


def mine_inputs(
    config: Config, *, features: str, held_out: str | None, heads: str
) -> dict[str, Any]:
    """What mined triples depend on; all but `config` are content hashes, as in `train_inputs`."""
    return {
        **_split_inputs(config),
        **_held_out(held_out),
        **{f"mining.{key}": value for key, value in config.mining.as_inputs().items()},
        "heads_sha256": heads,
        "train_features_sha256": features,
    }


def evaluate_inputs(config: Config, *, features: str, heads: str) -> dict[str, Any]:
    """What an evaluation depends on; `features` and `heads` are content hashes."""
    return {**_split_inputs(config), "heads_sha256": heads, "features_sha256": features}


def _split_inputs(config: Config) -> dict[str, Any]:
    """The seed, and the share of dev queries when they are taken from the training set."""
    fraction = None if config.data.dev else config.data.dev_fraction
    return {"run.seed": config.run.seed, "data.dev_fraction": fraction}


def _held_out(pages: str | None) -> dict[str, Any]:
    return {} if pages is None else {"held_out_pages_sha256": pages}


def _backbone_keys(backbone: BackboneConfig) -> dict[str, Any]:
    """The backbone's settings; its path is left out, its content hash says more."""
    return {key: value for key, value in backbone.as_inputs().items() if key != "path"}
