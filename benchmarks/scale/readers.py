"""The processes that read a finished store: workers of training and search, mining, evaluation.

Only metadata is read: shards are hollow, what a search finds is made up.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from benchmarks.scale.meter import Meter
from colintern import records
from colintern.config.schema import DataConfig, DatasetConfig, EvaluationConfig, MiningConfig
from colintern.data.triples import writing_triples
from colintern.data.views import View
from colintern.evaluation.evaluate import evaluate
from colintern.evaluation.results import writing_results
from colintern.features.catalog import Catalog
from colintern.features.store import FeatureStore
from colintern.mining.miner import Corpus, mine
from colintern.scoring.queries import EmbeddedQueries
from colintern.search import order
from colintern.search.shards import Answers
from colintern.training.examples import TrainingSet

_FEW_QUERIES = 1_000  # where pages are counted
_FEW_PAGES = 10_000  # where queries are counted
_SHARES = 8  # workers that a corpus is split over
_PAGES_PER_DOCUMENT = 20
_PAGES_PER_SHARD = 2_000


_Work = Callable[[Catalog, Path], object]  # gives what the process keeps


def training_worker(catalog: Catalog, folder: Path) -> object:
    """The view and the pairs of a training worker, and the order of its first epoch."""
    view, store = catalog.train()
    return _at_work(TrainingSet(view, store))


def training_worker_of_mined(catalog: Catalog, folder: Path) -> object:
    """The same with eight mined negatives for each query."""
    view, store = catalog.train()
    page_ids = store.pages.ids[:8].to_pylist()
    query_ids = (query_id.as_py() for query_id in view.query_ids)
    return _at_work(TrainingSet(view, store, ((query_id, page_ids) for query_id in query_ids)))


def _at_work(training_set: TrainingSet) -> object:
    batches = training_set.batches(32, 1, 4, "0")
    next(batches)
    _ = training_set.view.positives, training_set.store.pages.pictures  # for the masks
    return training_set, batches


def search_worker(catalog: Catalog, folder: Path) -> object:
    """What a search worker that holds an eighth of the pages knows of them."""
    (path,) = set(catalog.stores.values())
    num_pages = pq.read_metadata(Path(path, "pages", "manifest.parquet")).num_rows
    store = FeatureStore(path, {}, np.arange(num_pages // _SHARES))
    assert store.pages.num_tokens.sum()
    return store


def mining(catalog: Catalog, folder: Path) -> object:
    """The mining actor, from its view to its triples."""
    view, store = catalog.train()
    corpus, settings = Corpus.of(view, store.pages), MiningConfig(search="exact")
    with writing_triples(str(folder / "triples.jsonl")) as write:
        mine(corpus, _MadeUp(view), _embedded(view), settings, 0, write, lambda _: None)
    return corpus, store


def evaluation(catalog: Catalog, folder: Path) -> object:
    """An evaluation, from its view to its metrics."""
    view, store = catalog.evaluated("test")
    with writing_results(str(folder / "results.parquet")) as write:
        evaluate(
            view,
            _MadeUp(view),
            _embedded(view),
            EvaluationConfig(),
            round_number=1,
            seed=0,
            write=write,
            on_progress=lambda _: None,
        )
    return view, store


def _of_pages(work: _Work) -> Callable[[Path, int], dict[str, Any]]:
    return lambda folder, number: _measured(work, _world(folder, number, "page"), folder)


def _of_queries(work: _Work) -> Callable[[Path, int], dict[str, Any]]:
    return lambda folder, number: _measured(work, _world(folder, number, "query"), folder)


# Measurements of so many pages, and of so many queries.
OF_PAGES = {
    "training worker": _of_pages(training_worker),
    "search worker, 1/8 of it": _of_pages(search_worker),
    "mining": _of_pages(mining),
    "evaluation": _of_pages(evaluation),
}
OF_QUERIES = {
    "training worker, queries": _of_queries(training_worker_of_mined),
    "mining, queries": _of_queries(mining),
    "evaluation, queries": _of_queries(evaluation),
}


def _measured(work: _Work, world: Path, folder: Path) -> dict[str, Any]:
    catalog = _catalog(world)
    meter = Meter()
    with meter.timed("all"):
        kept = work(catalog, folder)
    measured = meter.measured()
    del kept
    return measured


def _embedded(view: View) -> EmbeddedQueries:
    """Queries of one token of one number: 12 bytes each."""
    return EmbeddedQueries(torch.ones(len(view.queries), 1), (1,) * len(view.queries))


class _MadeUp:
    """Shards that find other pages for every block of queries, and score any page."""

    def __init__(self, view: View) -> None:
        self._num_pages, self._start = len(view.pages), 0

    def exact_best(self, queries: EmbeddedQueries, depth: int) -> Answers[Tensor]:
        first = torch.arange(self._start, self._start + len(queries)) * 7
        self._start += len(queries)
        ordinal_BD = (first[:, None] + torch.arange(depth)) % self._num_pages
        score_BD = torch.linspace(0.9, 0.1, depth).repeat(len(queries), 1)
        return lambda: [order.to_keys(score_BD, ordinal_BD)]

    pooled_best = exact_best

    def rescore(self, queries: EmbeddedQueries, ordinal_BC: Tensor) -> Answers[Tensor]:
        key_BC = order.to_keys(torch.full(ordinal_BC.shape, 0.95), ordinal_BC.clamp(min=0))
        return lambda: [key_BC.masked_fill(ordinal_BC < 0, order.NO_PAGE)]

    def embeddings(self, ordinals: Sequence[int]) -> Answers[dict[int, Tensor]]:
        raise NotImplementedError

    def likeness(
        self, others: Sequence[Tensor], ordinal_N: Tensor, other_N: Tensor
    ) -> Answers[Tensor]:
        raise NotImplementedError


def _world(folder: Path, number: int, of_one: str) -> Path:
    return folder / f"{number}-{of_one}"


def _catalog(world: Path) -> Catalog:
    """The dataset of a world, and its store; dev is a part of it."""
    path, store = str(world / "set"), str(world / "store")
    train, test = (DatasetConfig(name=name, path=path) for name in ("train", "test"))
    return Catalog(DataConfig(train=train, eval=(test,)), 0, {"train": store, "test": store})


def write_world(folder: Path, number: int, of_one: str) -> None:
    """Write a dataset and its store, when they are not there.

    Args:
        folder: where all worlds stand.
        number: how many pages or queries it has; of the others it has a fixed number.
        of_one: `page` or `query`: which of them.
    """
    world = _world(folder, number, of_one)
    if (world / "store" / "record.json").exists():
        return
    of_pages = of_one == "page"
    _write(world, *((number, _FEW_QUERIES) if of_pages else (_FEW_PAGES, number)))


def _write(folder: Path, num_pages: int, num_queries: int) -> None:
    page_ids = [
        f"document-{number // _PAGES_PER_DOCUMENT:07d}-{number % _PAGES_PER_DOCUMENT:03d}"
        for number in range(num_pages)
    ]
    query_ids = [f"query-{number:08d}" for number in range(num_queries)]
    answers = [page_ids[number * 31 % num_pages] for number in range(num_queries)]
    texts = [f"what does {query_id} say of its subject, and why?" for query_id in query_ids]
    corpus = {"corpus-id": page_ids[:1], "image": [{"bytes": b""}]}
    _put(folder / "set/corpus/part-0.parquet", corpus)
    _put(folder / "set/queries/part-0.parquet", {"query-id": query_ids, "query": texts})
    judged = {"query-id": query_ids, "corpus-id": answers, "score": [1] * num_queries}
    _put(folder / "set/qrels/part-0.parquet", judged)
    shown, sizes = _hashes(num_pages), {"width": 1240, "height": 1754}
    pages = {
        **_items(page_ids),
        "doc_id": [page_id.rpartition("-")[0] for page_id in page_ids],
        **{name: pa.repeat(pa.scalar(size, pa.int32()), num_pages) for name, size in sizes.items()},
        "tile_rows": pa.repeat(pa.scalar(4, pa.int32()), num_pages),
        "tile_columns": pa.repeat(pa.scalar(3, pa.int32()), num_pages),
        "pixels_sha256": shown,
    }
    for part, columns in (("pages", pages), ("queries", _items(query_ids))):
        _put(folder / "store" / part / "manifest.parquet", columns)
        for name in sorted(set(columns["shard"])):
            (folder / "store" / part / name).touch()
    store = str(folder / "store")
    records.write_record(f"{store}/record.json", store, {}, [], records.now())


def _items(ids: Sequence[str]) -> dict[str, Any]:
    return {
        "id": ids,
        "sha256": _hashes(len(ids)),
        "shard": [f"shard-{row // _PAGES_PER_SHARD:05d}.safetensors" for row in range(len(ids))],
        "num_tokens": pa.array(np.full(len(ids), 3_328, np.int32)),
    }


def _hashes(number: int) -> list[str]:
    noise = np.random.default_rng(number).bytes(32 * number)
    return [noise[start : start + 32].hex() for start in range(0, len(noise), 32)]


def _put(path: Path, columns: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, compression="zstd")
