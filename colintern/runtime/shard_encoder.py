"""A model worker on the inside: two shards in hand, one of which has the model at a time.

While the model runs over one shard, the pages of the next are prepared and those of the one before
are written. Each shard is plain sequential code; the model's turn is all that they share.
"""

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch

from colintern.config.schema import Config
from colintern.errors import ConfigError
from colintern.features.attempts import Attempt
from colintern.features.encoding import (
    EncodedBatch,
    ShardBuilder,
    WrittenShard,
    encoded_batches,
)
from colintern.features.making import BegunStore
from colintern.features.preparing import PreparedPages, page_batches
from colintern.features.provenance import provenance_of
from colintern.features.work import ShardWork
from colintern.model.backbone import FrozenBackbone
from colintern.runtime.cluster import device_of
from colintern.runtime.decoding import PreparedAhead, Supply, supply
from colintern.runtime.errors import WorkersDiedError
from colintern.runtime.model_clock import ModelClock, ModelTime
from colintern.runtime.shared import why_not_to_work
from colintern.runtime.tracker import Tracker

_KILLS = "encoding it kills the process"
_STORED_BEHIND = 2  # batches that the model may be ahead of what is made of its features


@dataclass(frozen=True)
class EncoderSettings:
    """What a model worker has to know.

    Attributes:
        config: the run's.
        stores: those that are made, by path.
        num_workers: as many as there may be.
        may_grow: whether the cluster may get more nodes.
    """

    config: Config
    stores: Mapping[str, BegunStore]
    num_workers: int
    may_grow: bool


class ShardEncoder:
    """A loaded backbone that turns planned shards into files; its methods are called in threads.

    Args:
        settings: what to do.
        tracker: told what is begun and what is done.
    """

    def __init__(self, settings: EncoderSettings, tracker: Tracker) -> None:
        config = settings.config
        self._settings = settings
        self._tracker = tracker
        self._batch_tokens = config.features.batch_tokens
        self._num_threads = config.cluster.cpus_per_worker  # clustering tokens can use them all
        self._backbone = FrozenBackbone(config.backbone, device_of(config.cluster.use_gpu))
        self._clock = ModelClock()
        self._starved = threading.Event()  # see `PreparedAhead`

    def encode(self, work: ShardWork) -> WrittenShard:
        """Encode one shard and write it.

        Raises:
            ColInternError: it cannot, or must not, be done; nothing is written.
        """
        store = self._settings.stores[work.store]
        if error := why_not_to_work(store.held):
            raise error
        attempt = self._tracker.begin(work.path)
        try:
            return self._encode(work, store, attempt)
        except torch.OutOfMemoryError as error:
            raise ConfigError(
                f"features.batch_tokens={self._batch_tokens}: a batch does not fit into the "
                "memory of the GPU beside the backbone; lower it, or backbone.max_tiles"
            ) from error
        finally:
            self._tracker.end(work.path)

    def provenance(self) -> dict[str, str]:
        """How this worker computes features."""
        return provenance_of(self._backbone)

    def model_time(self) -> ModelTime:
        """What the model's time went into so far."""
        return self._clock.read()

    def _encode(self, work: ShardWork, store: BegunStore, attempt: Attempt) -> WrittenShard:
        if attempt.is_hopeless:
            raise WorkersDiedError(
                f"{work.path}: {attempt.num_deaths} processes have died while they encoded it, and "
                "no single page of it is the cause; lower features.batch_tokens, or give workers "
                "more memory"
            )
        if attempt.is_careful:
            self._try_one_by_one(work, store, attempt)
        killers = dict.fromkeys(attempt.killers, _KILLS)
        builder = ShardBuilder(work, store.codec, killers)
        prepared = self._prepared(work, killers)
        with ThreadPoolExecutor(self._num_threads) as storing:
            with self._clock.turn():
                fed = self._clock.fed(prepared)
                left = self._store(work, builder, storing, self._features(work, fed, killers))
            for stored in left:
                stored.result()
        return builder.write(self._backbone.compute_dtype)

    def _store(
        self,
        work: ShardWork,
        builder: ShardBuilder,
        storing: ThreadPoolExecutor,
        batches: Iterable[EncodedBatch],
    ) -> Iterable[Future[None]]:
        """Have features stored behind the model's back; returns what is not done yet."""
        begun: deque[Future[None]] = deque()
        for batch in batches:
            self._tracker.count(work.path, len(batch))
            begun.append(storing.submit(builder.add, batch))
            if len(begun) > max(_STORED_BEHIND, self._num_threads):
                begun.popleft().result()
        return begun

    def _prepared(self, work: ShardWork, killers: Mapping[str, str]) -> PreparedAhead:
        batches = page_batches(work, self._batch_tokens, killers)
        return PreparedAhead(batches, self._backbone.tiler, self._supply(), self._starved)

    def _supply(self) -> Supply:
        settings, cluster = self._settings, self._settings.config.cluster
        found = supply(
            settings.num_workers,
            cluster.cpus_per_worker,
            may_grow=settings.may_grow,
            is_starved=self._starved.is_set(),
        )
        if found.num_cpus:
            self._starved.clear()
        return found

    def _features(
        self, work: ShardWork, prepared: Iterable[PreparedPages], killers: Mapping[str, str]
    ) -> Iterable[EncodedBatch]:
        return encoded_batches(work, prepared, self._backbone, self._batch_tokens, killers)

    def _try_one_by_one(self, work: ShardWork, store: BegunStore, attempt: Attempt) -> None:
        """Encode each item alone, for nothing but to see whether this process survives it."""
        for index, item in enumerate(work.shard.items):
            if item in attempt.survived or item in attempt.killers:
                continue
            alone = work.single(index)
            prepared, builder = list(self._prepared(alone, {})), ShardBuilder(alone, store.codec)
            with self._clock.turn(), self._tracker.alone(work.path, item):
                for batch in self._features(alone, prepared, {}):
                    builder.add(batch)
        self._tracker.checked(work.path)
