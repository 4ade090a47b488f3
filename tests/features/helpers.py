"""Stores made the way a run makes them, without Ray."""

from pathlib import Path

from colintern import records
from colintern.config.files import parse_config
from colintern.config.schema import Config, FeaturesConfig
from colintern.data.canonical import CanonicalDataset
from colintern.data.inventory import read_inventory
from colintern.features.encoding import encode_shard
from colintern.features.finish import finish_store
from colintern.features.plan import StorePlan, StoreTarget, plan_store
from colintern.features.work import ShardWork
from colintern.model.backbone import BackboneIdentity, FrozenBackbone, read_identity
from colintern.runs.stores import store_target

FEATURES = FeaturesConfig(shard_bytes=200_000)  # a few pages fill several shards


def config_of(root: Path, backbone: str = "random") -> Config:
    """A configuration that trains on the dataset in `root/set`."""
    document = {
        "data": {"train": str(root / "set")},
        "run": {"root": str(root / "runs")},
        "backbone": {"path": backbone},
    }
    return parse_config(document, "test")


def planned(
    root: Path, target: StoreTarget | None = None, backbone: str = "random"
) -> tuple[StorePlan, BackboneIdentity]:
    """The store of `root/set`, planned; `target` is it as an earlier start has seen it."""
    config = config_of(root, backbone)
    identity = read_identity(config.backbone)
    target = target or store_target(config, config.data.train, identity)
    corpus = read_inventory(CanonicalDataset(target.dataset.path).corpus_files)
    return plan_store(target, corpus, identity, FEATURES), identity


def encoded(
    root: Path, backbone: FrozenBackbone, number: int | None = None, path: str = "random"
) -> list[str]:
    """Encode the missing shards, or only `number` of them; returns what was encoded."""
    plan, identity = planned(root, backbone=path)
    plan.begin()
    missing = plan.missing()[:number]
    for work in missing:
        encode_shard(ShardWork.from_json(work.to_json()), backbone, plan.target.codec, 2_000)
    if number is None:
        finish_store(plan, identity, 0.0, records.now())
    return [work.shard.file for work in missing]
