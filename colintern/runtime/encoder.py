"""A model worker as Ray Data sees it: rows of work in, rows of outcomes out.

Ray starts an actor that dies while it is made again and again, for ever, and tells nobody. So
little happens then: torch is imported and the backbone is loaded with the first row, and who dies
of that is counted.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ray

from colintern.errors import ColInternError
from colintern.features.work import ShardWork
from colintern.runtime.errors import WorkersDiedError

if TYPE_CHECKING:
    from colintern.features.encoding import WrittenShard
    from colintern.runtime.model_clock import ModelTime
    from colintern.runtime.shard_encoder import ShardEncoder
    from colintern.runtime.tracker import Tracker

_MOST_DEATHS = 3
_SECONDS_TO_END = 5.0


@dataclass(frozen=True)
class Outcome:
    """What became of a row of work.

    Attributes:
        path: the shard.
        worker: who had it; another one after a restart.
        made: what was written, or what went wrong.
        time: what the worker's model has spent its time on so far; None if it never came so far.
        provenance: how the worker computes features; None likewise.
    """

    path: str
    worker: str
    made: WrittenShard | ColInternError
    time: ModelTime | None
    provenance: dict[str, str] | None


class Encoder:
    """The class of the actors; called for two rows at a time, in two threads.

    What is raised on purpose becomes the outcome of its row: Ray Data would put its own traceback
    around what a row raises. Outcomes are pickled here: Ray Data pickles objects too, and warns of
    it each time.

    Args:
        settings: pickled `EncoderSettings`.
        tracker: told what is begun and what is done.
    """

    def __init__(self, settings: bytes, tracker: Tracker) -> None:
        self._settings = settings
        self._tracker = tracker
        self._raylet = os.getppid()  # of this node
        self._starting = threading.Lock()
        self._encoder: ShardEncoder | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Do some rows of work."""
        works = [ShardWork.unpacked(packed) for packed in batch["work"]]
        return {"outcome": [pickle.dumps(self._outcome(work)) for work in works]}

    def _outcome(self, work: ShardWork) -> Outcome:
        encoder = None
        try:
            encoder = self._started()
            made = encoder.encode(work)
        except ColInternError as error:
            made = error
        except OSError:
            if not _has_ended(self._raylet):
                raise
            # Calls to Ray fail between the end of this node and that of its processes. The row
            # must not, or it would end the run: whoever is alive does it again.
            os.kill(os.getpid(), signal.SIGKILL)
            raise
        context = ray.get_runtime_context()
        worker, time = context.get_worker_id(), encoder and encoder.model_time()
        return Outcome(work.path, worker, made, time, encoder and encoder.provenance())

    def _started(self) -> ShardEncoder:
        """With the backbone, which the first row loads: it can say what is wrong with it.

        Raises:
            WorkersDiedError: this actor has died of it several times in a row.
        """
        with self._starting:
            if self._encoder is None:
                worker = ray.get_runtime_context().get_actor_id() or ""
                process = f"process {os.getpid()} on {ray.util.get_node_ip_address()}"
                dead = self._tracker.starting(worker, process)
                if len(dead) >= _MOST_DEATHS:
                    raise WorkersDiedError(
                        f"a worker has died {len(dead)} times in a row while it loaded the "
                        f"backbone, as {dead[-1]} the last time; has the node too little memory? "
                        "Ray's logs there tell more"
                    )
                from colintern.runtime.shard_encoder import ShardEncoder

                self._encoder = ShardEncoder(pickle.loads(self._settings), self._tracker)
                self._tracker.ready(worker)
            return self._encoder


def _has_ended(parent: int) -> bool:
    """Whether this process has lost its parent, or loses it within seconds.

    A process that is killed closes its connections before its children get another parent.
    """
    last = time.monotonic() + _SECONDS_TO_END
    while os.getppid() == parent:
        if time.monotonic() > last:
            return False
        time.sleep(0.05)
    return True
