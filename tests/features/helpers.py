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
from colintern.storage.local_files import is_temporary

FEATURES = FeaturesConfig(shard_bytes=200_000)  # a few pages fill several shards


def config_of(root: Path, backbone: str = "reader") -> Config:
    """A configuration that trains on the dataset in `root/set`."""
    document = {
        "data": {"train": str(root / "set")},
        "run": {"root": str(root / "runs")},
        "backbone": {"path": backbone},
    }
    return parse_config(document, "test")


def planned(
    root: Path, target: StoreTarget | None = None, backbone: str = "reader"
) -> tuple[StorePlan, BackboneIdentity]:
    """The store of `root/set`, planned; `target` is it as an earlier start has seen it."""
    config = config_of(root, backbone)
    identity = read_identity(config.backbone)
    target = target or store_target(config, config.data.train, identity)
    corpus = read_inventory(CanonicalDataset(target.dataset.path).corpus_files)
    return plan_store(target, corpus, identity, FEATURES), identity


def encoded(
    root: Path, backbone: FrozenBackbone, number: int | None = None, path: str = "reader"
) -> list[str]:
    """Encode the missing shards, or only `number` of them; returns what was encoded."""
    plan, identity = planned(root, backbone=path)
    missing = plan.missing()[:number]
    for work in missing:
        encode_shard(ShardWork.unpacked(work.packed()), backbone, plan.target.codec, 2_000)
    if number is None:
        finish_store(plan, identity, 0.0, records.now())
    return [work.shard.file for work in missing]


def store_files(root: Path) -> dict[str, bytes]:
    """What stands in the stores under `root`, but for what holds times, and leftovers of writes."""
    timed = ("record.json", "encode_log.jsonl", "corpus_hashes.json")
    found = (path for path in root.rglob("*") if path.is_file())
    kept = (path for path in found if path.name not in timed and not is_temporary(path.name))
    return {str(path.relative_to(root)): path.read_bytes() for path in kept}
