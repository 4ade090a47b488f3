"""The driver that plans a store and finishes it, and a process that opens it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.scale import corpus
from benchmarks.scale.meter import Meter
from colintern import records
from colintern.config.schema import FeaturesConfig
from colintern.data.inventory import inventory_of, table_of
from colintern.features.encoding import WrittenShard
from colintern.features.finish import finish_store
from colintern.features.plan import plan_store
from colintern.features.shard_file import items_of
from colintern.features.store import FeatureStore
from colintern.features.work import ShardWork


def plan_and_finish(folder: Path, num_pages: int) -> dict[str, Any]:
    """Plan the store of a corpus, make it as far as it is not there, and finish it.

    The inventory comes as the tables that tasks return, and shards are hollow (see `corpus`): to
    make them is not timed, but its memory counts.
    """
    target, backbone = corpus.dataset_in(folder), corpus.backbone()
    meter = Meter()
    groups = corpus.row_groups(target, num_pages)
    tables = [_table(pages) for _, pages in groups]
    with meter.timed("plan"):
        found = inventory_of([group for group, _ in groups], _given_away(tables))
        plan = plan_store(target, found, backbone, FeaturesConfig())
        del found
        missing = plan.missing()
    with meter.timed("hand over"):  # each is let go as Ray takes it
        for work in missing:
            work.packed()
    written = {work.path: _written(work) for work in missing}
    with meter.timed("finish"):
        finish_store(plan, backbone, 0.0, records.now(), written)
    return meter.measured()  # the plan is still there


def finish_again(folder: Path, num_pages: int) -> dict[str, Any]:
    """The same after a start that was killed before its end: every shard is opened."""
    (folder / "store" / "record.json").unlink(missing_ok=True)
    return plan_and_finish(folder, num_pages)


def open_store(folder: Path, num_pages: int) -> dict[str, Any]:
    """Open a store as a worker does that needs all of its pages, and what they show."""
    target = corpus.dataset_in(folder)
    meter = Meter()
    with meter.timed("open"):
        store = FeatureStore(target.path)
    with meter.timed("pictures"):
        assert len(store.pages.pictures) == num_pages
    return meter.measured()


def _given_away(tables: list[pa.Table]) -> Iterator[pa.Table]:
    """Each table once; only who takes them holds them then."""
    tables.reverse()
    while tables:
        yield tables.pop()


def _table(numbers: Sequence[int]) -> pa.Table:
    pages = [corpus.page(number) for number in numbers]
    columns = {
        "id": [page.page_id for page in pages],
        "sha256": [page.sha256 for page in pages],
        "pixels_sha256": [page.pixels_sha256 for page in pages],
        "doc_id": [page.doc_id for page in pages],
        "width": [page.width for page in pages],
        "height": [page.height for page in pages],
        "reason": [None] * len(pages),
    }
    return table_of(columns)


def _written(work: ShardWork) -> WrittenShard:
    """Write a hollow shard, as an encoder writes a full one."""
    items = work.shard.items
    lengths = dict(zip(items, work.batch_keys or [32] * len(items), strict=True))
    pixels = {} if work.texts else {sha256: corpus.shown_by(sha256) for sha256 in items}
    num_bytes = corpus.write_hollow_shard(work.path, lengths, pixels)
    return WrittenShard(num_bytes, items_of(lengths, {}, pixels))
