"""Encoding on Ray Data: one planned shard is one row of work; the actor writes the shard."""

import contextlib
import pickle
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import ray
from ray.data import ActorPoolStrategy, DataContext

from colintern import log, records
from colintern.config.schema import Config
from colintern.data.canonical import CanonicalDataset
from colintern.data.inventory import Inventory, inventory_of, read_entries, row_groups
from colintern.errors import ColInternError
from colintern.features.codec import Codec
from colintern.features.encoding import WrittenShard, encode_shard
from colintern.features.finish import (
    FinishedStore,
    check_bad_fraction,
    finish_store,
    finished_record,
)
from colintern.features.plan import (
    StorePlan,
    StoreTarget,
    check_compute_dtype,
    plan_store,
)
from colintern.features.store import BAD_PAGES, BAD_QUERIES
from colintern.features.summary import plan_summary
from colintern.features.work import PlannedWork, ShardWork
from colintern.model.backbone import BackboneIdentity, FrozenBackbone, compute_dtype
from colintern.records import Record, lease
from colintern.runtime.cluster import device_of
from colintern.runtime.shared import why_not_to_work

_LOG_SECONDS = 2.0
_SCALE_UP_SECONDS = 1_800  # a node with a GPU may take this long to come up
_SHOWN_BAD = 5


def encode_stores(
    targets: Sequence[StoreTarget], backbone: BackboneIdentity, config: Config
) -> dict[str, Record]:
    """Bring the stores of several datasets up to date, with one pool of actors.

    A store that another driver is making is waited for. Shards that an earlier start has written
    are kept.

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
            _plan(target, backbone, config) for target in targets if found[target.path] is None
        ]
        for line in plan_summary(plans):
            log.say("plan", "%s", line)
        missing = PlannedWork(job for plan in plans for job in plan.missing().jobs)
        codecs = {target.path: target.codec for target in targets}
        written = _encode(missing, config, codecs, held) if missing else {}
        for plan in plans:
            held[plan.target.path].check()
            finished = finish_store(plan, backbone, limit, started_at, written)
            _say_finished(plan, finished)
            found[plan.target.path] = finished.record
        return {path: record for path, record in found.items() if record is not None}


class _ShardEncoder:
    """The actor: a backbone, loaded once, that turns rows of work into shards.

    What is raised on purpose becomes an entry of the row: Ray Data would start an actor that fails
    to start again and again, and put its own traceback around what a row raises. Entries are
    pickled here: Ray Data pickles objects too, and warns of it each time.
    """

    def __init__(
        self, config: Config, codecs: Mapping[str, Codec], held: Mapping[str, lease.Held]
    ) -> None:
        self._config = config
        self._codecs = codecs
        self._held = held

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        rows: dict[str, list[Any]] = {"path": [], "outcome": []}
        for text in batch["work"]:
            work = ShardWork.from_json(str(text))
            rows["path"].append(work.path)
            rows["outcome"].append(pickle.dumps(self._outcome(work)))
        return rows

    def _outcome(self, work: ShardWork) -> WrittenShard | ColInternError:
        """What was written, or what went wrong."""
        store = work.folder.rpartition("/")[0]
        if error := why_not_to_work(self._held[store]):
            return error
        batch_tokens = self._config.features.batch_tokens
        try:
            return encode_shard(work, self._backbone, self._codecs[store], batch_tokens)
        except ColInternError as error:
            return error

    @cached_property
    def _backbone(self) -> FrozenBackbone:
        """Loaded for the first row, which can say what is wrong with it."""
        return FrozenBackbone(self._config.backbone, device_of(self._config.cluster.use_gpu))


def _plan(target: StoreTarget, backbone: BackboneIdentity, config: Config) -> StorePlan:
    name = target.dataset.name
    began = time.monotonic()
    target.begin()
    corpus = _inventory(CanonicalDataset(target.dataset.path).corpus_files)
    plan = plan_store(target, corpus, backbone, config.features, config.cluster.use_gpu)
    check_compute_dtype(plan, compute_dtype(config.backbone, device_of(config.cluster.use_gpu)))
    plan.begin()
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
    return plan


def _inventory(files: Sequence[str]) -> Inventory:
    task, groups = ray.remote(num_cpus=1)(read_entries), row_groups(files)
    return inventory_of(groups, ray.get([task.remote(*group) for group in groups]))


def _encode(
    missing: PlannedWork,
    config: Config,
    codecs: Mapping[str, Codec],
    held: Mapping[str, lease.Held],
) -> dict[str, WrittenShard]:
    """Run the work through a pool of actors, and say how far it is.

    Returns:
        The path of every shard to what was written to it.
    """
    cluster = config.cluster
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.verbose_progress = False
    context.execution_no_progress_timeout_s = _SCALE_UP_SECONDS
    workers = min(cluster.encode_workers, len(missing))
    work: Any = _Rows(missing)
    rows = ray.data.from_items(work, override_num_blocks=len(missing)).map_batches(
        _ShardEncoder,
        fn_constructor_args=(config, codecs, held),
        batch_size=1,
        compute=ActorPoolStrategy(size=workers),
        num_cpus=cluster.cpus_per_worker,
        num_gpus=1 if cluster.use_gpu else 0,
    )
    return _collect(rows.iter_rows(), len(missing))


class _Rows:
    """Work as rows of Ray Data, each made as its block is put into the object store."""

    def __init__(self, work: PlannedWork) -> None:
        self._work = work

    def __len__(self) -> int:
        return len(self._work)

    def __getitem__(self, index: int) -> dict[str, str]:
        return {"work": self._work[index].to_json()}


def _collect(rows: Iterable[dict[str, Any]], num_shards: int) -> dict[str, WrittenShard]:
    """What the actors have written, by path; says how far they are.

    Raises:
        ColInternError: what went wrong in one of them.
    """
    began = last = time.monotonic()
    found: dict[str, WrittenShard] = {}
    items = tokens = 0
    for row in rows:
        written: WrittenShard | ColInternError = pickle.loads(row["outcome"])
        if isinstance(written, ColInternError):
            raise written
        found[row["path"]] = written
        items += len(written.items.hashes)
        tokens += int(written.items.num_tokens.sum())
        if time.monotonic() - last > _LOG_SECONDS or len(found) == num_shards:
            last = time.monotonic()
            log.say(
                "encode",
                "%4d / %d shards   %s items   %s tokens   %.0f items/s",
                len(found),
                num_shards,
                f"{items:,}",
                f"{tokens:,}",
                items / max(last - began, 1e-9),
            )
    return found


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
