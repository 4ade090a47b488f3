"""Mining and evaluation on Ray: a corpus split over shard actors, and the actor that searches."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
import torch
from ray.exceptions import ObjectLostError, RayActorError

from colintern import log, storage
from colintern.config.schema import ClusterConfig, EvaluationConfig, MiningConfig
from colintern.data.triples import write_triples
from colintern.data.views import View
from colintern.evaluation.evaluate import evaluate, write_evaluation
from colintern.features.catalog import Catalog
from colintern.features.store import FeatureStore
from colintern.mining.miner import Corpus, mine
from colintern.model.heads import heads_sha256, load_heads
from colintern.records.lease import Held
from colintern.runtime.cluster import device_of
from colintern.runtime.relay import News
from colintern.runtime.shared import obstacle
from colintern.search.embedding import embed_queries
from colintern.search.shard import CorpusShard, shard_bounds

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

    def start(self, method: str, *arguments: Any) -> Callable[[], list[Any]]:
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
        page_ids: Sequence[str],
        heads_folder: str,
        start: int,
        end: int,
    ) -> None:
        if error := obstacle(self._held):
            raise error
        self._shard = None  # the old one's memory first
        heads, _ = load_heads(heads_folder)
        store = FeatureStore(store_path, manifests)
        self._shard = CorpusShard(store.pages, heads, page_ids, start, end, self._device)

    def call(self, method: str, *arguments: Any) -> Any:
        return getattr(self._shard, method)(*arguments)


@ray.remote(num_cpus=0, max_restarts=0)
class _SearchActor:
    """Sends queries to the shards in blocks, merges what they find, judges or applies rules."""

    def __init__(self, shards: Sequence[Any]) -> None:
        torch.set_num_threads(1)
        self._shards = shards

    def mine(self, task: MineTask, tell: Tell) -> dict[str, Any]:
        view, store = task.catalog.train()
        shards, queries = self._open(view, store, task.heads_folder)
        pages, positions = store.pages, store.pages.find(view.page_ids)
        corpus = Corpus(
            view, pages.pictures[positions].tolist(), int(pages.num_tokens[positions].sum())
        )
        triples, found = mine(
            corpus,
            shards,
            queries,
            task.settings,
            task.seed,
            on_progress=lambda done: tell({"done": done, "queries": len(queries)}),
        )
        document = {
            "settings": task.settings.model_dump(),
            "heads_sha256": heads_sha256(task.heads_folder),
            **found,
        }
        task.held.check()
        write_triples(task.triples_path, triples)
        storage.write_json(task.mining_path, document)
        return document

    def evaluate(self, task: EvaluateTask) -> dict[str, Any]:
        view, store = task.catalog.evaluated(task.dataset)
        shards, queries = self._open(view, store, task.heads_folder)
        evaluation = evaluate(
            view,
            shards,
            queries,
            task.settings,
            round_number=task.round_number,
            seed=task.seed,
            on_progress=lambda done: None,
        )
        task.held.check()
        write_evaluation(evaluation, task.json_path, task.parquet_path)
        return evaluation.document

    def _open(self, view: View, store: FeatureStore, heads_folder: str) -> tuple[RayShards, Any]:
        """Load the corpus into the shard actors and embed the queries meanwhile."""
        lengths = store.pages.num_tokens[store.pages.find(view.page_ids)].tolist()
        bounds = shard_bounds(lengths, len(self._shards))
        used = self._shards[: len(bounds)]
        page_ids = ray.put(view.page_ids)
        loading = [
            actor.load.remote(store.path, store.manifests, page_ids, heads_folder, start, end)
            for actor, (start, end) in zip(used, bounds, strict=True)
        ]
        heads, _ = load_heads(heads_folder)
        query_ids = [query.query_id for query in view.queries]
        queries = embed_queries(heads, store.queries, query_ids)
        ray.get(loading)
        return RayShards(used), queries
