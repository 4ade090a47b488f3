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
from colintern.data.inventory import PageEntry, read_entries, row_groups
from colintern.errors import ColInternError
from colintern.features.encoding import encode_shard
from colintern.features.finish import LeftOut, check_bad_fraction, finish_store, finished_record
from colintern.features.plan import (
    ShardWork,
    StorePlan,
    StoreTarget,
    check_compute_dtype,
    plan_store,
)
from colintern.features.store import BAD_PAGES, BAD_QUERIES
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
        wanted = [target for target in targets if finished_record(target, limit) is None]
        plans = [_plan(target, backbone, config) for target in wanted]
        missing = [work for plan in plans for work in plan.missing()]
        if missing:
            _encode(missing, config, held)
        for plan in plans:
            held[plan.target.path].check()
            left_out = finish_store(plan, backbone, limit, started_at)
            _say_finished(plan, left_out)
        return {target.path: _record(target) for target in targets}


class _ShardEncoder:
    """The actor: a backbone, loaded once, that turns rows of work into shards.

    What is raised on purpose becomes an entry of the row: Ray Data would start an actor that fails
    to start again and again, and put its own traceback around what a row raises.
    """

    def __init__(self, config: Config, held: Mapping[str, lease.Held]) -> None:
        self._config = config
        self._held = held

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        rows: dict[str, list[Any]] = {"items": [], "tokens": [], "error": []}
        for text in batch["work"]:
            items, tokens, error = self._encoded(ShardWork.from_json(str(text)))
            rows["items"].append(items)
            rows["tokens"].append(tokens)
            rows["error"].append(pickle.dumps(error))
        return rows

    def _encoded(self, work: ShardWork) -> tuple[int, int, ColInternError | None]:
        """The numbers of items and tokens written, or what went wrong."""
        if error := why_not_to_work(self._held[work.folder.rpartition("/")[0]]):
            return 0, 0, error
        features = self._config.features
        try:
            written = encode_shard(work, self._backbone, features.dtype, features.batch_tokens)
        except ColInternError as error:
            return 0, 0, error
        return *written, None

    @cached_property
    def _backbone(self) -> FrozenBackbone:
        """Loaded for the first row, which can say what is wrong with it."""
        return FrozenBackbone(self._config.backbone, device_of(self._config.cluster.use_gpu))


def _plan(target: StoreTarget, backbone: BackboneIdentity, config: Config) -> StorePlan:
    name = target.dataset.name
    began = time.monotonic()
    target.content.begin()
    entries = _inventory(CanonicalDataset(target.dataset.path).corpus_files)
    plan = plan_store(target, entries, backbone, config.features)
    check_compute_dtype(plan, compute_dtype(config.backbone, device_of(config.cluster.use_gpu)))
    for path in plan.lost():
        log.say("encode", "%s: %s is gone or damaged and is made again", name, path)
    missing = len(plan.missing())
    log.say(
        "encode",
        "%s: %s pages, %s queries, %d of %d shards to do (listed in %.0f s)",
        name,
        f"{len(entries):,}",
        f"{len(plan.queries):,}",
        missing,
        len(plan.work),
        time.monotonic() - began,
    )
    bad = {entry.page_id: entry.bad for entry in entries if entry.bad is not None}
    check_bad_fraction(name, bad, len(entries), config.data.max_bad_fraction)
    return plan


def _record(target: StoreTarget) -> Record:
    record = target.record()
    assert record is not None, target.path
    return record


def _inventory(files: Sequence[str]) -> list[PageEntry]:
    task = ray.remote(num_cpus=1)(read_entries)
    found = ray.get([task.remote(file, group) for file, group in row_groups(files)])
    return [entry for entries in found for entry in entries]


def _encode(missing: Sequence[ShardWork], config: Config, held: Mapping[str, lease.Held]) -> None:
    """Run the work through a pool of actors, and say how far it is."""
    cluster = config.cluster
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.verbose_progress = False
    context.execution_no_progress_timeout_s = _SCALE_UP_SECONDS
    workers = min(cluster.encode_workers, len(missing))
    rows = ray.data.from_items(
        [{"work": work.to_json()} for work in missing], override_num_blocks=len(missing)
    ).map_batches(
        _ShardEncoder,
        fn_constructor_args=(config, held),
        batch_size=1,
        compute=ActorPoolStrategy(size=workers),
        num_cpus=cluster.cpus_per_worker,
        num_gpus=1 if cluster.use_gpu else 0,
    )
    _say_progress(rows.iter_rows(), len(missing))


def _say_progress(rows: Iterable[dict[str, Any]], num_shards: int) -> None:
    began = last = time.monotonic()
    items = tokens = done = 0
    for row in rows:
        if error := pickle.loads(row["error"]):
            raise error
        done, items, tokens = done + 1, items + row["items"], tokens + row["tokens"]
        if time.monotonic() - last > _LOG_SECONDS or done == num_shards:
            last = time.monotonic()
            log.say(
                "encode",
                "%4d / %d shards   %s items   %s tokens   %.0f items/s",
                done,
                num_shards,
                f"{items:,}",
                f"{tokens:,}",
                items / max(last - began, 1e-9),
            )


def _say_finished(plan: StorePlan, left_out: LeftOut) -> None:
    name = plan.target.dataset.name
    log.say("encode", "%s: features in %s", name, plan.target.path)
    _say_left_out(f"{name}: page", left_out.pages, BAD_PAGES)
    _say_left_out(f"{name}: query", left_out.queries, BAD_QUERIES)


def _say_left_out(what: str, reasons: Mapping[str, str], file: str) -> None:
    for item, reason in list(reasons.items())[:_SHOWN_BAD]:
        log.say("encode", "%s %s left out: %s", what, item, reason)
    if len(reasons) > _SHOWN_BAD:
        log.say("encode", "and %d more, listed in %s of the store", len(reasons) - _SHOWN_BAD, file)


def _say_waiting(holder: lease.Lease) -> None:
    log.say("encode", "waiting for process %d on %s to finish this store", holder.pid, holder.host)
