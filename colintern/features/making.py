"""Bringing stores up to date: plan them, have what is missing encoded, finish them.

Whoever encodes, this is the one recipe: a crew lists the corpus and does the work, in this process
or on a cluster.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from colintern import log, records
from colintern.config.schema import Config
from colintern.data.inventory import Inventory
from colintern.features.codec import Codec
from colintern.features.encoding import WrittenShard
from colintern.features.finish import (
    FinishedStore,
    check_bad_fraction,
    finish_store,
    finished_record,
)
from colintern.features.plan import StorePlan, StoreTarget, check_compute_dtype, plan_store
from colintern.features.progress import EncodingProgress
from colintern.features.store import BAD_PAGES, BAD_QUERIES
from colintern.features.summary import plan_summary
from colintern.features.work import PlannedWork
from colintern.model.backbone import BackboneIdentity, compute_dtype
from colintern.records import Record, lease
from colintern.records.lease import Held

_SHOWN_BAD = 5


@dataclass(frozen=True)
class BegunStore:
    """A store that is being made.

    Attributes:
        held: its lease.
        codec: how it keeps features.
    """

    held: Held
    codec: Codec


class Crew(Protocol):
    """Those who encode.

    Attributes:
        device: the torch device of their models.
    """

    device: str

    def list_pages(self, files: Sequence[str]) -> Inventory:
        """The pages of a corpus."""
        ...

    def encode(
        self, work: PlannedWork, stores: Mapping[str, BegunStore], progress: EncodingProgress
    ) -> Iterator[tuple[str, WrittenShard]]:
        """Write the shards of some work, in any order.

        Args:
            work: at least one shard.
            stores: what it belongs to, by path.
            progress: told of shards that are under way, and of facts; not of written ones.

        Yields:
            The path of each shard, when it is written, and what stands in it.
        """
        ...


def make_stores(
    targets: Sequence[StoreTarget], backbone: BackboneIdentity, config: Config, crew: Crew
) -> dict[str, Record]:
    """Bring the stores of several datasets up to date.

    A store that another driver is making is waited for. Shards that an earlier start has written
    are kept, and not read.

    Returns:
        The path of each store to its record, read while nobody else could make it grow.
    """
    with contextlib.ExitStack() as stack:
        held = {
            path: stack.enter_context(lease.held(path, wait=True, on_wait=_say_waiting))
            for path in sorted(target.path for target in targets)  # else two could deadlock
        }
        started_at = records.now()
        limit = config.data.max_bad_fraction
        found = {target.path: finished_record(target, limit) for target in targets}
        plans = [
            _plan(target, backbone, config, crew)
            for target in targets
            if found[target.path] is None
        ]
        for line in plan_summary(plans) if plans else ():
            log.say("plan", "%s", line)
        written = _encode_missing(plans, held, crew)
        for plan in plans:
            held[plan.target.path].check()
            finished = finish_store(plan, backbone, limit, started_at, written)
            _say_finished(plan, finished)
            found[plan.target.path] = finished.record
        return {path: record for path, record in found.items() if record is not None}


def _plan(target: StoreTarget, backbone: BackboneIdentity, config: Config, crew: Crew) -> StorePlan:
    name = target.dataset.name
    began = time.monotonic()
    target.begin()
    corpus = crew.list_pages(target.content.corpus_files)
    plan = plan_store(target, corpus, backbone, config.features, config.cluster.use_gpu)
    check_compute_dtype(plan, compute_dtype(config.backbone, crew.device))
    for path in plan.lost():
        log.say("encode", "%s: %s is missing or damaged; it is encoded again", name, path)
    log.say(
        "encode",
        "%s: %s pages, %s queries, %d of %d shards to do (listed in %.0f s)",
        name,
        f"{len(corpus):,}",
        f"{len(plan.queries):,}",
        len(plan.missing()),
        len(plan.work),
        time.monotonic() - began,
    )
    check_bad_fraction(name, corpus.bad(), len(corpus), config.data.max_bad_fraction)
    plan.begin()
    return plan


def _encode_missing(
    plans: Sequence[StorePlan], held: Mapping[str, Held], crew: Crew
) -> dict[str, WrittenShard]:
    """What is written to every shard that was missing, by its path."""
    incomplete = [plan for plan in plans if plan.missing()]
    if not incomplete:
        return {}
    stores = {
        plan.target.path: BegunStore(held[plan.target.path], plan.target.codec)
        for plan in incomplete
    }
    work = PlannedWork(job for plan in incomplete for job in plan.missing().jobs)
    written: dict[str, WrittenShard] = {}
    with log.Progress("encode", "", "items", work.num_items) as told:
        progress = EncodingProgress(told, len(work))
        for path, shard in crew.encode(work, stores, progress):
            written[path] = shard
            progress.done(shard)
    progress.keep(list(stores))
    return written


def _say_finished(plan: StorePlan, finished: FinishedStore) -> None:
    name = plan.target.dataset.name
    log.say("encode", "%s: features in %s", name, plan.target.path)
    _say_bad(f"{name}: page", finished.bad_pages, BAD_PAGES)
    _say_bad(f"{name}: query", finished.bad_queries, BAD_QUERIES)


def _say_bad(what: str, reasons: Mapping[str, str], file: str) -> None:
    for item, reason in list(reasons.items())[:_SHOWN_BAD]:
        log.say("encode", "%s %s left out: %s", what, item, reason)
    if len(reasons) > _SHOWN_BAD:
        log.say("encode", "and %d more, listed in %s of the store", len(reasons) - _SHOWN_BAD, file)


def _say_waiting(holder: lease.Lease) -> None:
    log.say("encode", "waiting for process %d on %s to finish this store", holder.pid, holder.host)
