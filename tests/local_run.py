"""A whole run in this process: the loop, its session and its stages, without Ray's actors."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from colintern import records, storage
from colintern.config.files import parse_config
from colintern.config.schema import Config, HeadsConfig
from colintern.data.canonical import CanonicalDataset
from colintern.data.inventory import read_inventory
from colintern.data.triples import writing_triples
from colintern.data.views import View
from colintern.evaluation.evaluate import evaluate
from colintern.evaluation.results import writing_results
from colintern.features.encoding import encode_shard
from colintern.features.finish import finish_store
from colintern.features.plan import StoreTarget, plan_store
from colintern.features.store import FeatureStore
from colintern.mining.miner import Corpus, mine
from colintern.model.backbone import BackboneIdentity, FrozenBackbone
from colintern.model.heads import init_heads, load_heads, save_heads
from colintern.run import session
from colintern.runtime.cluster import Cluster
from colintern.runtime.search_pool import EvaluateTask, MineTask
from colintern.scoring.queries import EmbeddedQueries
from colintern.search.embedding import embed_queries
from colintern.search.shard import CorpusShard
from colintern.search.shards import LocalShards
from colintern.training.loop import RoundTask
from tests.helpers import make_corpus

BACKBONE = Path(__file__).parent / "data" / "recorded-3bf57ee" / "backbone"


@dataclass
class LocalPool:
    """Mines and measures in this process, and remembers what: stands for the search actors."""

    measured: list[tuple[int, str]] = field(default_factory=list)

    def mine(self, task: MineTask, tell: Callable[[Any], None]) -> dict[str, Any]:
        view, store = task.catalog.train()
        corpus, opened = Corpus.of(view, store.pages), _opened(view, store, task.heads_folder)
        with writing_triples(task.triples_path) as write:
            found = mine(corpus, *opened, task.settings, task.seed, write, lambda _: None)
        document = {"settings": task.settings.model_dump(), **found}
        storage.write_json(task.mining_path, document)
        return document

    def evaluate(self, task: EvaluateTask) -> dict[str, Any]:
        self.measured.append((task.round_number, task.dataset))
        view, store = task.catalog.evaluated(task.dataset)
        with writing_results(task.parquet_path) as write:
            document = evaluate(
                view,
                *_opened(view, store, task.heads_folder),
                task.settings,
                round_number=task.round_number,
                seed=task.seed,
                write=write,
                on_progress=lambda _: None,
            )
        storage.write_json(task.json_path, document)
        return document

    def close(self) -> None:
        """Nothing is held."""


def without_ray(monkeypatch) -> LocalPool:
    """Let stages work in this process; heads are random ones of each round instead of trained."""
    pool = LocalPool()
    monkeypatch.setattr(Cluster, "ensure", lambda _: None)
    monkeypatch.setattr(session, "encode_stores", _encode_stores)
    monkeypatch.setattr(session, "train", _train)
    monkeypatch.setattr(session, "relayed", contextlib.nullcontext)
    monkeypatch.setattr(session.Session, "_search_pool", lambda _: pool)
    return pool


def make_config(root: Path, **sections: Mapping[str, Any]) -> Config:
    """A run of two rounds over small datasets in `root`, which are made when they are not there."""
    if not (root / "train").exists():
        make_corpus(root / "train", num_pages=24, num_queries=40)
        make_corpus(root / "test", num_pages=6, num_queries=8, first_picture=100)
    document: dict[str, Any] = {
        "run": {"name": "run", "root": str(root / "runs")},
        "backbone": {"path": str(BACKBONE)},
        "data": {"train": str(root / "train"), "eval": [str(root / "test")], "dev": None},
        "heads": {"dim": 16},
        "mining": {"relative_margin": 0.0, "num_negatives": 4},
    }
    for section, values in sections.items():
        document[section] = {**document.get(section, {}), **values}
    return parse_config(document, "test")


def _encode_stores(
    targets: Sequence[StoreTarget], identity: BackboneIdentity, config: Config
) -> dict[str, records.Record]:
    backbone, found = FrozenBackbone(config.backbone), {}
    for target in targets:
        corpus = read_inventory(CanonicalDataset(target.dataset.path).corpus_files)
        plan = plan_store(target, corpus, identity, config.features)
        for work in plan.missing():
            encode_shard(work, backbone, config.features.dtype, config.features.batch_tokens)
        finish_store(plan, identity, config.data.max_bad_fraction, records.now())
        found[target.path] = target.record()
    return found


def _train(task: RoundTask, *_: object) -> None:
    heads = init_heads(HeadsConfig(dim=task.info.dim), task.info.features_width, task.round_number)
    save_heads(heads, task.heads_folder, task.info)
    storage.write_bytes(task.log_path, b'{"step": 1, "loss": 1.0}\n')


def _opened(
    view: View, store: FeatureStore, heads_folder: str
) -> tuple[LocalShards, EmbeddedQueries]:
    heads, _ = load_heads(heads_folder)
    shards = LocalShards([CorpusShard(store.pages, heads, view.pages)])
    return shards, embed_queries(heads, store.queries, view.queries)
