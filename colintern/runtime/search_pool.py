"""Mining and evaluation on Ray: a corpus split over shard actors, and the actor that searches."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
import torch
from numpy.typing import NDArray
from ray.exceptions import ObjectLostError, RayActorError
from torch import Tensor

from colintern import log, storage
from colintern.config.schema import ClusterConfig, EvaluationConfig, MiningConfig
from colintern.data.triples import writing_triples
from colintern.data.views import View
from colintern.evaluation.evaluate import evaluate
from colintern.evaluation.results import writing_results
from colintern.features.catalog import Catalog
from colintern.features.store import FeatureStore
from colintern.mining.miner import Corpus, mine
from colintern.model.heads import heads_sha256, load_heads
from colintern.records.lease import Held
from colintern.runtime.cluster import device_of
from colintern.runtime.relay import News
from colintern.runtime.shared import obstacle
from colintern.scoring.queries import EmbeddedQueries
from colintern.search.embedding import embed_queries
from colintern.search.shard import CorpusShard, shard_bounds
from colintern.search.shards import Answers

_MAX_REPEATS = 3  # lost machines; a stage starts again from its first query
Tell = Callable[[News], None]


@dataclass(frozen=True)
class MineTask:
    """One mining pass: with which heads, by which rules, and where its files go."""

    catalog: Catalog
    heads_folder: str
    settings: MiningConfig
    seed: int
    triples_path: str
    mining_path: str
    held: Held


@dataclass(frozen=True)
class EvaluateTask:
    """One evaluation: of which round's heads, on which dataset, and where its files go."""

    catalog: Catalog
    dataset: str
    heads_folder: str
    settings: EvaluationConfig
    round_number: int
    seed: int
    json_path: str
    parquet_path: str
    held: Held


class SearchPool:
    """Shard actors and one searching actor, for as long as stages need them.

    When one of them goes, with a spot machine for instance, all are started anew and the stage is
    repeated: it gives the same result.

    Args:
        cluster: how many shards, and what each asks of Ray.
        held: the lease of the run folder.
    """

    def __init__(self, cluster: ClusterConfig, held: Held) -> None:
        self._cluster = cluster
        self._held = held
        self._start()

    def mine(self, task: MineTask, tell: Tell) -> dict[str, Any]:
        """Mine, write the triples and `mining.json`; returns the latter's content."""
        return self._repeated(lambda: self._searcher.mine.remote(task, tell))

    def evaluate(self, task: EvaluateTask) -> dict[str, Any]:
        """Evaluate, write results and metrics; returns the metrics' document."""
        return self._repeated(lambda: self._searcher.evaluate.remote(task))

    def close(self) -> None:
        """End the actors and give their resources back."""
        for actor in (*self._shards, self._searcher):
            ray.kill(actor)

    def _start(self) -> None:
        cluster = self._cluster
        shard = _ShardActor.options(  # pyright: ignore[reportAttributeAccessIssue]
            num_cpus=cluster.cpus_per_worker, num_gpus=1 if cluster.use_gpu else 0
        )
        self._shards: list[Any] = [
            shard.remote(device_of(cluster.use_gpu), cluster.cpus_per_worker, self._held)
            for _ in range(cluster.mining_workers)
        ]
        self._searcher: Any = _SearchActor.remote(self._shards)

    def _repeated(self, start: Callable[[], Any]) -> dict[str, Any]:
        """What a call of the searcher returns, with new actors when some were lost meanwhile."""
        for repeat in range(1, _MAX_REPEATS + 1):
            try:
                return ray.get(start())
            except (RayActorError, ObjectLostError):
                log.say(
                    "ray",
                    "a search worker or its machine is gone; searching again (%d of %d)",
                    repeat,
                    _MAX_REPEATS,
                )
                self.close()
                self._start()
        return ray.get(start())


class RayShards:
    """Shards in actors; see `search.shards.Shards`."""

    def __init__(self, actors: Sequence[Any]) -> None:
        self._actors = actors

    def exact_best(self, queries: EmbeddedQueries, depth: int) -> Answers[Tensor]:
        """The best pages of every shard by exact MaxSim."""
        return self._start("exact_best", queries, depth)

    def pooled_best(self, queries: EmbeddedQueries, depth: int) -> Answers[Tensor]:
        """The best pages of every shard by pooled vectors."""
        return self._start("pooled_best", queries, depth)

    def rescore(self, queries: EmbeddedQueries, ordinal_BC: Tensor) -> Answers[Tensor]:
        """Exact scores of chosen pages."""
        return self._start("rescore", queries, ordinal_BC)

    def embeddings(self, ordinals: Sequence[int]) -> Answers[dict[int, Tensor]]:
        """The embeddings of chosen pages."""
        return self._start("embeddings", ordinals)

    def likeness(
        self, others: Sequence[Tensor], ordinal_N: Tensor, other_N: Tensor
    ) -> Answers[Tensor]:
        """How alike pairs of pages are."""
        return self._start("likeness", others, ordinal_N, other_N)

    def _start(self, method: str, *arguments: Any) -> Answers[Any]:
        """Call `method` of every shard at once; arguments travel once to each node."""
        shared = [ray.put(argument) for argument in arguments]
        answers = [actor.call.remote(method, *shared) for actor in self._actors]
        return lambda: ray.get(answers)


@ray.remote(max_restarts=0)
class _ShardActor:
    """One shard: its embeddings and its own FAISS index."""

    def __init__(self, device: str, num_threads: int, held: Held) -> None:
        torch.set_num_threads(num_threads)
        self._device = device
        self._held = held
        self._shard: CorpusShard | None = None

    def load(
        self,
        store_path: str,
        manifests: Mapping[str, str],
        pages: NDArray[np.int64],
        heads_folder: str,
        start: int,
    ) -> None:
        if error := obstacle(self._held):
            raise error
        self._shard = None  # the old one's memory first
        heads, _ = load_heads(heads_folder)
        own = FeatureStore(store_path, manifests, pages).pages
        self._shard = CorpusShard(own, heads, np.arange(len(own)), start, self._device)

    def call(self, method: str, *arguments: Any) -> Any:
        return getattr(self._shard, method)(*arguments)


@ray.remote(num_cpus=0, max_restarts=0)
class _SearchActor:
    """Sends queries to the shards in blocks, merges what they find, judges or applies rules."""

    def __init__(self, shards: Sequence[Any]) -> None:
        torch.set_num_threads(1)
        self._shards = shards
        self._catalog: Catalog | None = None

    def mine(self, task: MineTask, tell: Tell) -> dict[str, Any]:
        view, store = self._kept(task.catalog).train()
        shards, queries = self._open(view, store, task.heads_folder)
        with writing_triples(task.triples_path) as write:
            found = mine(
                Corpus.of(view, store.pages),
                shards,
                queries,
                task.settings,
                task.seed,
                write,
                on_progress=lambda done: tell({"done": done, "queries": len(queries)}),
            )
            task.held.check()
        document = {
            "settings": task.settings.model_dump(),
            "heads_sha256": heads_sha256(task.heads_folder),
            **found,
        }
        storage.write_json(task.mining_path, document)
        return document

    def evaluate(self, task: EvaluateTask) -> dict[str, Any]:
        view, store = self._kept(task.catalog).evaluated(task.dataset)
        shards, queries = self._open(view, store, task.heads_folder)
        with writing_results(task.parquet_path) as write:
            document = evaluate(
                view,
                shards,
                queries,
                task.settings,
                round_number=task.round_number,
                seed=task.seed,
                write=write,
                on_progress=lambda done: None,
            )
            task.held.check()
        storage.write_json(task.json_path, document)
        return document

    def _kept(self, catalog: Catalog) -> Catalog:
        """The catalog of the task before, if it is the same: it has its datasets open."""
        if self._catalog is None or catalog != self._catalog:
            self._catalog = catalog
        return self._catalog

    def _open(
        self, view: View, store: FeatureStore, heads_folder: str
    ) -> tuple[RayShards, EmbeddedQueries]:
        """Load the corpus into the shard actors and embed the queries meanwhile."""
        bounds = shard_bounds(store.pages.num_tokens[view.pages], len(self._shards))
        used, parts = self._shards[: len(bounds)], [view.pages[slice(*own)] for own in bounds]
        loading = [
            actor.load.remote(store.path, store.manifests, own, heads_folder, start)
            for actor, own, (start, _) in zip(used, parts, bounds, strict=True)
        ]
        heads, _ = load_heads(heads_folder)
        queries = embed_queries(heads, store.queries, view.queries)
        ray.get(loading)
        return RayShards(used), queries
