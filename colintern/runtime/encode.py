"""Encoding on Ray Data: one planned shard is one row of work, done by a pool of model workers.

Pages are prepared by tasks that the workers start (`decoding`), on any node with a CPU free. The
workers run the model and write the shards (`shard_encoder`); only what is written where comes back.
In the object store there are, besides prepared pages, the rows: about 60 bytes a page of what is
missing.
"""

import os
import pickle
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ray
from ray.data import ActorPoolStrategy, DataContext

from colintern import log
from colintern.config.schema import Config
from colintern.data.inventory import Inventory, inventory_of, read_entries, row_groups
from colintern.errors import ColInternError
from colintern.features.encoding import WrittenShard
from colintern.features.making import BegunStore
from colintern.features.progress import EncodingProgress
from colintern.features.provenance import together
from colintern.features.work import PlannedWork
from colintern.runtime.cluster import device_of
from colintern.runtime.encoder import Encoder, Outcome
from colintern.runtime.model_clock import ModelTime
from colintern.runtime.shard_encoder import EncoderSettings
from colintern.runtime.tracker import Tracker, tracking

_ROWS_IN_HAND = 2  # of a worker: one has the model, the other is prepared, or written


class RayCrew:
    """See `features.making.Crew`: a pool of actors.

    Args:
        config: how many, and what each of them needs.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self.device = device_of(config.cluster.use_gpu)

    def list_pages(self, files: Sequence[str]) -> Inventory:
        """The pages of a corpus; each row group is a task."""
        task, groups = ray.remote(num_cpus=1)(read_entries), row_groups(files)
        return inventory_of(groups, ray.get([task.remote(*group) for group in groups]))

    def encode(
        self, work: PlannedWork, stores: Mapping[str, BegunStore], progress: EncodingProgress
    ) -> Iterator[tuple[str, WrittenShard]]:
        """Write shards wherever there is a worker free.

        Workers that come later join; one that dies is started anew, and its shards with it.

        Raises:
            ColInternError: what went wrong in one of them.
        """
        num_workers = min(self._config.cluster.most_encode_workers, len(work))
        may_grow = "RAY_ADDRESS" in os.environ
        settings = EncoderSettings(self._config, stores, num_workers, may_grow)
        times: dict[str, ModelTime] = {}
        noted: dict[str, dict[str, str]] = {}
        with tracking(progress, num_workers) as tracker:
            for outcome in _as_they_come(self._outcomes(work, settings, tracker)):
                if isinstance(outcome.made, ColInternError):
                    raise outcome.made
                if outcome.time:
                    times[outcome.worker] = outcome.time
                if outcome.provenance:
                    noted[outcome.worker] = outcome.provenance
                yield outcome.path, outcome.made
        progress.facts |= together(noted.values())
        _tell_waiting(times, progress)

    def _outcomes(self, work: PlannedWork, settings: EncoderSettings, tracker: Tracker) -> Any:
        """The rows of outcomes, as a dataset.

        By Ray Data's defaults an actor that dies is started again, and its rows are done again,
        without a limit. With a limit, an actor that has reached it stays in the pool for good, and
        the run hangs. So the tracker counts who dies again and again.
        """
        context = DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.verbose_progress = False
        context.execution_no_progress_timeout_s = -1  # a shard may take hours, a machine too
        cluster = self._config.cluster
        # A few shards are shared out evenly; of many, each worker takes one more ahead.
        in_hand = _ROWS_IN_HAND if len(work) > settings.num_workers else 1
        rows: Any = _Rows(work)
        return ray.data.from_items(rows, override_num_blocks=len(work)).map_batches(
            Encoder,
            fn_constructor_args=(pickle.dumps(settings), tracker),
            batch_size=1,
            # All are asked for at once, as an autoscaler sees; work starts with the first.
            compute=ActorPoolStrategy(
                size=settings.num_workers,
                max_tasks_in_flight_per_actor=in_hand,
                max_concurrent_calls_per_actor=in_hand,
                enable_true_multi_threading=True,
            ),
            num_cpus=cluster.cpus_per_worker,
            num_gpus=1 if cluster.use_gpu else 0,
        )


class _Rows:
    """Work as rows of Ray Data, each made as its block is put into the object store."""

    def __init__(self, work: PlannedWork) -> None:
        self._work = work

    def __len__(self) -> int:
        return len(self._work)

    def __getitem__(self, index: int) -> dict[str, bytes]:
        return {"work": self._work[index].packed()}


def _as_they_come(dataset: Any) -> Iterator[Outcome]:
    """The outcomes of a dataset's rows; closing the iterator ends the actors.

    Not by `iter_rows`, which keeps a row back until others have come: for minutes, or longer.
    """
    for batch in dataset.iter_batches(batch_size=None, batch_format="numpy", prefetch_batches=0):
        for packed in batch["outcome"]:
            yield pickle.loads(packed)


def _tell_waiting(times: Mapping[str, ModelTime], progress: EncodingProgress) -> None:
    """Say and note which share of their time the models had nothing to do.

    Noted are the workers, the seconds of all of them since their first batch, and the share.
    """
    seconds = sum(time.seconds for time in times.values())
    waited = sum(time.waited_seconds for time in times.values()) / seconds if seconds else 0.0
    progress.facts |= {
        "workers": len(times),
        "model_seconds": round(seconds, 3),
        "waited": round(waited, 4),
    }
    log.say("encode", "model workers waited %.0f %% of the time", 100 * waited)
