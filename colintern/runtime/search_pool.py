"""A corpus split over shard actors, and the actor that searches it for mining and evaluation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import ray
import torch
from numpy.typing import NDArray
from ray.exceptions import ObjectLostError, RayActorError
from torch import Tensor

from colintern import log
from colintern.data.views import View
from colintern.features.catalog import Catalog
from colintern.features.store import FeatureStore
from colintern.model.heads import load_heads
from colintern.records.lease import Held
from colintern.runtime.resources import Request
from colintern.runtime.shared import why_not_to_work
from colintern.runtime.work import SearchWork, Tell
from colintern.scoring.queries import EmbeddedQueries
from colintern.search.embedding import embed_queries
from colintern.search.shard import CorpusShard, shard_bounds
from colintern.search.shards import Answers

_MAX_REPEATS = 3  # lost machines; a stage starts again from its first query


class SearchPool:
    """Shard actors and one searching actor, for as long as stages need them.

    When one of them goes, with a spot machine for instance, all are started anew and the stage is
    repeated: it gives the same result.

    Args:
        request: how many shards, and what each needs.
        held: the lease of the run folder.

    Attributes:
        request: as given.
    """

    def __init__(self, request: Request, held: Held) -> None:
        self.request = request
        self._held = held
        self._start()

    def do(self, work: SearchWork, catalog: Catalog, tell: Tell) -> dict[str, Any]:
        """Do `work` in the searching actor, with a way to open a corpus over the shards.

        Args:
            work: what to do; it has to give the same when it is repeated.
            catalog: the datasets to work on.
            tell: told how far it is.

        Returns:
            What `work` returns.
        """
        return self._repeated(lambda: self._searcher.do.remote(work, catalog, tell))

    def close(self) -> None:
        """End the actors and give their resources back."""
        for actor in (*self._shards, self._searcher):
            ray.kill(actor)

    def _start(self) -> None:
        request = self.request
        shard = _ShardActor.options(  # pyright: ignore[reportAttributeAccessIssue]
            num_cpus=request.cpus_per_worker, num_gpus=request.gpus_per_worker
        )
        self._shards: list[Any] = [
            shard.remote(request.device, request.cpus_per_worker, self._held)
            for _ in range(request.num_workers)
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
                    "a search worker was lost; searching again (%d of %d)",
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
        cache_bytes: int,
    ) -> None:
        if error := why_not_to_work(self._held):
            raise error
        self._shard = None  # the old one's memory first
        heads, _ = load_heads(heads_folder)
        own = FeatureStore(store_path, manifests, pages, cache_bytes).pages
        self._shard = CorpusShard(own, heads, np.arange(len(own)), start, self._device)

    def call(self, method: str, *arguments: Any) -> Any:
        return getattr(self._shard, method)(*arguments)


@ray.remote(num_cpus=0, max_restarts=0)
class _SearchActor:
    """Does the work that sends queries to the shards: mining and evaluation."""

    def __init__(self, shards: Sequence[Any]) -> None:
        torch.set_num_threads(1)
        self._shards = shards
        self._catalog: Catalog | None = None

    def do(self, work: SearchWork, catalog: Catalog, tell: Tell) -> dict[str, Any]:
        return work(self._kept(catalog), self._open, tell)

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
            actor.load.remote(
                store.path, store.manifests, own, heads_folder, start, store.cache_bytes
            )
            for actor, own, (start, _) in zip(used, parts, bounds, strict=True)
        ]
        heads, _ = load_heads(heads_folder)
        queries = embed_queries(heads, store.queries, view.queries)
        ray.get(loading)
        return RayShards(used), queries
