"""Stores made the way a run makes them, without Ray."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from colintern import records, storage
from colintern.config.files import parse_config
from colintern.config.schema import Config, FeaturesConfig
from colintern.data.canonical import CanonicalDataset
from colintern.data.inventory import read_inventory
from colintern.features.codec import StoredTokens
from colintern.features.encoding import encode_shard
from colintern.features.finish import finish_store
from colintern.features.manifest import MANIFEST, QUERY_SCHEMA
from colintern.features.plan import StorePlan, StoreTarget, plan_store
from colintern.features.shard_file import write_shard
from colintern.features.store import RECORD
from colintern.features.work import ShardWork
from colintern.model.backbone import BackboneIdentity, FrozenBackbone, read_identity
from colintern.runs.stores import store_target
from colintern.storage.local_files import is_temporary
from tests.helpers import WIDTH

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
        encode_shard(ShardWork.unpacked(work.packed()), backbone, plan.target.codec, 2_000)
    if number is None:
        finish_store(plan, identity, 0.0, records.now())
    return [work.shard.file for work in missing]


def made_up_store(folder: Path, num_shards: int, seed: int = 0) -> Path:
    """A store of random numbers: in each shard three pages and one query, of unequal lengths."""
    draw = torch.Generator().manual_seed(seed)
    for part, each in (("pages", 3), ("queries", 1)):
        rows = []
        for number in range(num_shards * each):
            sha256, file = f"{number:064x}", f"shard-{number // each:05d}.safetensors"
            rows.append({"id": f"p{number:03d}", "sha256": sha256, "shard": file})
        for file in sorted({row["shard"] for row in rows}):
            features = {}
            for row in (row for row in rows if row["shard"] == file):
                row["num_tokens"] = 5 + int(row["sha256"], 16) % 4
                numbers = torch.randn(row["num_tokens"], WIDTH, generator=draw)
                features[row["sha256"]] = StoredTokens(numbers.bfloat16())
            write_shard(str(folder / part / file), features, {}, "float32")
        pq.write_table(pa.Table.from_pylist(rows, QUERY_SCHEMA), folder / part / MANIFEST)
    records.write_record(str(folder / RECORD), str(folder), {}, [], records.now())
    return folder


def upload(folder: Path, url: str) -> str:
    """Write a local folder's files under a URL, which is returned."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            storage.write_bytes(f"{url}/{path.relative_to(folder).as_posix()}", path.read_bytes())
    return url


def store_files(root: Path) -> dict[str, bytes]:
    """What stands in the stores under `root`, but for what holds times, and leftovers of writes."""
    timed = ("record.json", "encode_log.jsonl", "corpus_hashes.json")
    found = (path for path in root.rglob("*") if path.is_file())
    kept = (path for path in found if path.name not in timed and not is_temporary(path.name))
    return {str(path.relative_to(root)): path.read_bytes() for path in kept}
