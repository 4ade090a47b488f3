"""The processes that read a finished store: workers of training and search, mining, evaluation.

Only metadata is read: shards are hollow, what a search finds is made up. Each measurement is first
taken of a corpus of a hundred pages, so that what a process needs for any corpus is not counted.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

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
_WARM = 100
_SHARES = 8  # workers that a corpus is split over
_PAGES_PER_DOCUMENT = 20
_PAGES_PER_SHARD = 2_000


class _Work(Protocol):
    """What one process does with a store."""

    def __call__(self, catalog: Catalog, folder: Path) -> None: ...


def training_worker(folder: Path, num_pages: int) -> dict[str, Any]:
    """The view and the pairs of a training worker, and the order of its first epoch."""
    return _measured(_train, folder, num_pages, _FEW_QUERIES)


def training_worker_of_queries(folder: Path, num_queries: int) -> dict[str, Any]:
    """The same with many queries, with eight mined negatives each."""
    return _measured(_train_mined, folder, _FEW_PAGES, num_queries)


def search_worker(folder: Path, num_pages: int) -> dict[str, Any]:
    """What a search worker that holds an eighth of the pages knows of them."""
    return _measured(_open_share, folder, num_pages, _FEW_QUERIES)


def mining(folder: Path, num_pages: int) -> dict[str, Any]:
    """The mining actor, from its view to its triples."""
    return _measured(_mine, folder, num_pages, _FEW_QUERIES)


def mining_of_queries(folder: Path, num_queries: int) -> dict[str, Any]:
    """The same with many queries."""
    return _measured(_mine, folder, _FEW_PAGES, num_queries)


def evaluation(folder: Path, num_pages: int) -> dict[str, Any]:
    """An evaluation, from its view to its metrics."""
    return _measured(_evaluate, folder, num_pages, _FEW_QUERIES)


def evaluation_of_queries(folder: Path, num_queries: int) -> dict[str, Any]:
    """The same with many queries."""
    return _measured(_evaluate, folder, _FEW_PAGES, num_queries)


# By the number of pages, and by the number of queries.
OF_PAGES: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "training worker": training_worker,
    "search worker, 1/8 of it": search_worker,
    "mining": mining,
    "evaluation": evaluation,
}
OF_QUERIES: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "training worker, a query": training_worker_of_queries,
    "mining, a query": mining_of_queries,
    "evaluation, a query": evaluation_of_queries,
}


def _measured(work: _Work, folder: Path, num_pages: int, num_queries: int) -> dict[str, Any]:
    warm, real = (
        _catalog(folder / f"readers-{pages}-{queries}", pages, queries)
        for pages, queries in ((_WARM, _WARM), (num_pages, num_queries))
    )
    work(warm, folder)
    meter = Meter()
    with meter.timed("all"):
        work(real, folder)
    return meter.measured()


def _train(catalog: Catalog, folder: Path) -> None:
    view, store = catalog.train()
    _first_batch(TrainingSet(view, store))


def _train_mined(catalog: Catalog, folder: Path) -> None:
    view, store = catalog.train()
    page_ids = store.pages.ids[:8].to_pylist()
    query_ids = (query_id.as_py() for query_id in view.query_ids)
    _first_batch(TrainingSet(view, store, ((query_id, page_ids) for query_id in query_ids)))


def _first_batch(training_set: TrainingSet) -> None:
    next(training_set.batches(32, 1, 4, "0"))
    _ = training_set.view.positives, training_set.store.pages.pictures  # for the masks


def _open_share(catalog: Catalog, folder: Path) -> None:
    (path,) = set(catalog.stores.values())
    num_pages = pq.read_metadata(Path(path, "pages", "manifest.parquet")).num_rows
    own = FeatureStore(path, {}, np.arange(num_pages // _SHARES)).pages
    assert own.num_tokens.sum()


def _mine(catalog: Catalog, folder: Path) -> None:
    view, store = catalog.train()
    corpus, settings = Corpus.of(view, store.pages), MiningConfig(search="exact")
    with writing_triples(str(folder / "triples.jsonl")) as write:
        mine(corpus, _MadeUp(view), _embedded(view), settings, 0, write, lambda _: None)


def _evaluate(catalog: Catalog, folder: Path) -> None:
    view, _ = catalog.evaluated("test")
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


def _catalog(folder: Path, num_pages: int, num_queries: int) -> Catalog:
    """A dataset and its store, written when they are not there; dev is a part of it."""
    if not (folder / "store" / "record.json").exists():
        _write(folder, num_pages, num_queries)
    path = str(folder / "set")
    train, test = (DatasetConfig(name=name, path=path) for name in ("train", "test"))
    store = str(folder / "store")
    return Catalog(DataConfig(train=train, eval=(test,)), 0, {"train": store, "test": store})


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
