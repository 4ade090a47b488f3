"""Asking a finished run: the best pages for a query, from any corpus."""

from dataclasses import dataclass

import numpy as np

from colintern import storage
from colintern.config.schema import Config, DatasetConfig, datasets
from colintern.data.canonical import CanonicalDataset
from colintern.data.resolve import resolved
from colintern.data.text import bad_query_reason
from colintern.errors import DatasetError, MissingStageError, UserError
from colintern.features.codec import Codec
from colintern.features.finish import finished_record
from colintern.features.plan import StoreTarget
from colintern.features.store import FeatureStore
from colintern.images.decode import suffix_of
from colintern.model.backbone import BackboneIdentity, FrozenBackbone, read_identity
from colintern.model.heads import Heads, load_heads
from colintern.records.run_folder import RunFolder
from colintern.runs.basis import known_basis
from colintern.runs.runner import requests
from colintern.runs.stages import Encode, Train
from colintern.runs.stores import store_target
from colintern.runs.workers import Workers
from colintern.runtime.cluster import on_machines_here
from colintern.runtime.workers import ray_workers
from colintern.scoring.queries import EmbeddedQueries
from colintern.search import order, searcher
from colintern.search.shard import CorpusShard
from colintern.search.shards import LocalShards


@dataclass(frozen=True)
class Hit:
    """A page found for a query; ranks start at 1."""

    rank: int
    score: float
    page_id: str
    doc_id: str | None


def search_run(
    run_path: str,
    query: str,
    depth: int,
    dataset: str | None = None,
    workers: Workers | None = None,
) -> list[Hit]:
    """The best `depth` pages for `query`, by the run's best round.

    Args:
        run_path: the run folder.
        query: a text that a dataset's query may be.
        depth: how many pages, at least 1; a smaller corpus gives all that it has.
        dataset: a dataset of the run by its name, or the path of one that the run has never seen,
            which is encoded on first use; None takes the first test set, or the training set.
        workers: who encodes; None takes those of a Ray cluster, which is joined or started only
            when something has to be encoded.

    Raises:
        UserError: the query cannot be asked, or no page is asked for.
    """
    if reason := bad_query_reason(query):
        raise UserError(f"QUERY: {reason}; ask in a few words")
    if depth < 1:
        raise UserError(f"-k {depth}: must be at least 1")
    config = _config_of(run_path)
    heads, _ = load_heads(RunFolder(run_path).heads(best_round(run_path)))
    backbone = read_identity(config.backbone)
    target = store_target(
        config, _dataset(config, dataset), backbone, known_basis(config, backbone)
    )
    store = _store(target, backbone, config, workers)
    queries = _embedded(heads, query, target.codec, config)
    pages = store.pages
    shard = CorpusShard(pages, heads, np.arange(len(pages)))
    keys = next(searcher.exact(LocalShards([shard]), queries, min(depth, len(pages))))[0]
    rows = map(pages.row, order.to_ordinals(keys).tolist())
    found = zip(order.to_scores(keys).tolist(), rows, strict=True)
    return [
        Hit(rank, score, page.id, page.doc_id) for rank, (score, page) in enumerate(found, start=1)
    ]


def save_images(run_path: str, dataset: str | None, hits: list[Hit], folder: str) -> list[str]:
    """Write the pictures of found pages into `folder`, named by rank; returns their paths."""
    config = _config_of(run_path)
    ranks = {hit.page_id: hit.rank for hit in hits}
    corpus = CanonicalDataset(_dataset(config, dataset).path)
    written = []
    for page_id, image in corpus.images(ranks).items():
        path = storage.join(folder, f"{ranks[page_id]:03d}.{suffix_of(image)}")
        storage.write_bytes(path, image)
        written.append(path)
    return sorted(written)


def _config_of(run_path: str) -> Config:
    """What a run was made with; the run itself may have been moved since."""
    config = RunFolder(run_path).read().config
    root, _, name = storage.absolute(run_path).rstrip("/").rpartition("/")
    return config.model_copy(
        update={"run": config.run.model_copy(update={"root": root, "name": name})}
    )


def best_round(run_path: str) -> int:
    """The best round by `loop.json`, or the last trained one of an unfinished run.

    Raises:
        MissingStageError: no round is trained.
    """
    folder = RunFolder(run_path)
    if storage.exists(folder.loop_json):
        return int(storage.read_json(folder.loop_json)["best_round"])
    number = 0
    while Train(number + 1).is_recorded(folder):
        number += 1
    if number == 0:
        raise MissingStageError(f"{run_path}: no round is trained yet; run: colintern run")
    return number


def _embedded(heads: Heads, query: str, codec: Codec, config: Config) -> EmbeddedQueries:
    """The query as one from a store would be: its features as stores keep them."""
    features = FrozenBackbone(config.backbone).encode_queries([query])[0]
    stored = codec.encode_query(features)
    return EmbeddedQueries(heads.exact_queries(stored.decoded()), (len(stored),))


def _dataset(config: Config, name: str | None) -> DatasetConfig:
    known = {dataset.name: dataset for dataset in datasets(config.data)}
    if name is None:
        return config.data.eval[0] if config.data.eval else config.data.train
    if name in known:
        return known[name]
    path = storage.absolute(name)
    if not storage.exists(path):
        raise DatasetError(
            f"--dataset {name}: neither a dataset of this run ({', '.join(known)}) nor a folder"
        )
    return resolved(DatasetConfig.model_validate(path), config)


def _store(
    target: StoreTarget, backbone: BackboneIdentity, config: Config, workers: Workers | None
) -> FeatureStore:
    """The features of a dataset, which are made first where they are missing."""
    if finished_record(target, config.data.max_bad_fraction) is None:
        if workers is not None:
            workers.encode([target], backbone, config)
        else:
            config = on_machines_here(config)
            with ray_workers(config, requests(config, [Encode])) as on_ray:
                on_ray.encode([target], backbone, config)
    return FeatureStore(target.path, cache_bytes=config.features.cache_bytes)
