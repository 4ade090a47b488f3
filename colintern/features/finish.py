"""What is written when all shards of a store are there: manifests, what is bad, the record."""

import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from colintern import records, storage
from colintern.data import digests
from colintern.data.canonical import CanonicalDataset
from colintern.errors import TooManyBadPagesError
from colintern.features.contents import Contents, Rows, read_contents
from colintern.features.damage import check_whole, whole_shards
from colintern.features.encoding import WrittenShard
from colintern.features.manifest import (
    EARLIER_PAGE_SCHEMA,
    PAGE_SCHEMA,
    QUERY_SCHEMA,
    add_manifest,
    num_rows,
)
from colintern.features.plan import StorePlan, StoreTarget, of_sizes
from colintern.features.planned import write_plan
from colintern.features.store import (
    BAD_PAGES,
    BAD_QUERIES,
    PAGES,
    QUERIES,
    RECORD,
    manifests_of,
)
from colintern.model.backbone import BackboneIdentity
from colintern.model.basis import BASIS

_NOT_IN_A_SHARD = "no features"
_NAMED_BAD = 3
# What is listed as bad: of which part of the store, in which file, by which key, called what.
_LISTS = (
    (PAGES, BAD_PAGES, "page_id", "pages"),
    (QUERIES, BAD_QUERIES, "query_id", "queries"),
)


@dataclass(frozen=True)
class FinishedStore:
    """A store's record, and what the store has no features of: id to the reason."""

    record: records.Record
    bad_pages: Mapping[str, str]
    bad_queries: Mapping[str, str]


def check_bad_fraction(
    name: str, reasons: Mapping[str, str], num_items: int, limit: float, *, kind: str = "pages"
) -> None:
    """Stop when too many pages, or queries, of a dataset cannot be used.

    Args:
        name: the dataset's.
        reasons: id to reason, of those that cannot be used.
        num_items: how many there are in all.
        limit: `data.max_bad_fraction`.
        kind: what they are, for the message.

    Raises:
        TooManyBadPagesError: more than `limit` of them; the message names the first.
    """
    if len(reasons) <= limit * num_items:
        return
    first = "; ".join(f"{key}: {why}" for key, why in islice(reasons.items(), _NAMED_BAD))
    raise TooManyBadPagesError(
        f"dataset {name}: {len(reasons)} of {num_items} {kind} are bad, more than "
        f"data.max_bad_fraction={limit} allows; the first: {first}"
    )


def finish_store(
    plan: StorePlan,
    backbone: BackboneIdentity,
    max_bad_fraction: float,
    started_at: str,
    written: MutableMapping[str, WrittenShard] | None = None,
) -> FinishedStore:
    """Write manifests, the lists of what is bad, and last the record.

    Args:
        plan: all of its shards are there.
        backbone: how pages are tiled.
        max_bad_fraction: `data.max_bad_fraction`.
        started_at: when the work on the store began (`records.now()`).
        written: what is known of shards because they were just written, by path; what is used is
            taken out. The other shards are opened.

    Raises:
        DatasetError: the dataset has changed since it was planned.
        TooManyBadPagesError: more than `max_bad_fraction` of the pages, or of the queries that can
            be asked, have no features.
        DamagedShardError: a shard is gone, or not whole.
    """
    plan.target.content.check_unchanged()
    store, written = plan.target.path, {} if written is None else written
    sizes = {
        state.path: state.size
        for part in plan.parts
        for state in whole_shards(store, part, plan.sizes).values()
    }
    check_whole(plan.shard_paths(), sizes)
    pages, queries = plan.pages, plan.queries
    found = {
        part: read_contents(
            storage.join(store, part), sorted(plan.parts[part].files), sizes, written, hashes, known
        )
        for part, hashes, known in (
            (PAGES, pages.hashes, pages.pixels),
            (QUERIES, plan.query_hashes, np.zeros_like(plan.query_hashes)),
        )
    }
    listed = pages.bad()
    bad_pages = _bad(pages.ids, pages.hashes, found[PAGES], listed)
    bad_queries = _bad(queries.ids, plan.query_hashes, found[QUERIES], {})
    name = plan.target.dataset.name
    check_bad_fraction(name, bad_pages, len(pages), max_bad_fraction)
    check_bad_fraction(name, bad_queries, len(queries), max_bad_fraction, kind="queries")
    bad_queries = {**queries.bad, **bad_queries}
    for part, part_plan in plan.parts.items():
        pa.default_memory_pool().release_unused()  # now is the most in memory
        write_plan(storage.join(store, part), part_plan)
    pa.default_memory_pool().release_unused()
    manifests = [
        storage.join(PAGES, _add_pages(plan, found[PAGES], backbone)),
        storage.join(QUERIES, _add_queries(plan, found[QUERIES])),
    ]
    _write_bad(store, bad_pages, bad_queries)
    basis = [BASIS] if plan.target.codec.basis else []
    written_now = (*manifests, BAD_PAGES, BAD_QUERIES, *basis)
    files = [records.describe(store, file) for file in written_now]
    shards = [
        records.Output(path.removeprefix(store).lstrip("/"), sizes[path], None)
        for path in plan.shard_paths()
    ]
    record = records.record_outputs(
        storage.join(store, RECORD), plan.target.inputs, [*files, *shards], started_at
    )
    return FinishedStore(record, bad_pages, bad_queries)


def finished_record(target: StoreTarget, max_bad_fraction: float) -> records.Record | None:
    """The record of a store that is finished already; None of one that has to be made.

    Raises:
        TooManyBadPagesError: it was finished under a larger limit than `max_bad_fraction`.
    """
    record = target.record()
    if record is None:
        return None
    dataset = CanonicalDataset(target.dataset.path, target.content.questions)
    bad_queries = dataset.bad_queries()  # listed too, and not counted: see `finish_store`
    for part, file, key, kind in _LISTS:
        lines = storage.read_bytes(storage.join(target.path, file)).splitlines()
        reasons = {line[key]: line["reason"] for line in map(json.loads, lines)}
        reasons = {name: why for name, why in reasons.items() if name not in bad_queries}
        manifest = storage.join(target.path, manifests_of(record)[part].path)
        num_items = num_rows(manifest) + len(reasons)
        check_bad_fraction(target.dataset.name, reasons, num_items, max_bad_fraction, kind=kind)
    return record


def _bad(
    ids: pa.Array, hashes: np.ndarray, contents: Contents, listed: Mapping[str, str]
) -> dict[str, str]:
    """Id to the reason, for what has no features; `listed` has the reasons that came first."""
    rows = np.flatnonzero(~contents.has_features)
    names = ids.take(pa.array(rows)).to_pylist()
    return {
        name: listed.get(name) or contents.reasons.get(hashes[row].tobytes(), _NOT_IN_A_SHARD)
        for name, row in zip(names, rows, strict=True)
    }


def _add_pages(plan: StorePlan, contents: Contents, backbone: BackboneIdentity) -> str:
    """Write the manifest of the pages; returns its file."""
    pages, kept = plan.pages, contents.with_features()
    shown = digests.is_known(contents.pixels)
    schema = PAGE_SCHEMA if (shown & contents.has_features).any() else EARLIER_PAGE_SCHEMA

    def rows(start: int, end: int) -> pa.Table:
        chosen = kept(start, end)
        widths, heights = pages.widths[chosen], pages.heights[chosen]
        columns = {
            **_columns(pages.ids, pages.hashes, contents, chosen),
            "doc_id": _chosen(pages.doc_ids, chosen),
            "width": widths,
            "height": heights,
            "tile_rows": of_sizes(lambda *size: backbone.tile_grid(*size)[0], widths, heights),
            "tile_columns": of_sizes(lambda *size: backbone.tile_grid(*size)[1], widths, heights),
            "pixels_sha256": digests.texts_of(contents.pixels[chosen], shown[chosen]),
        }
        return pa.table({name: columns[name] for name in schema.names}, schema)

    return add_manifest(
        storage.join(plan.target.path, PAGES), schema, contents.num_with_features, rows
    )


def _add_queries(plan: StorePlan, contents: Contents) -> str:
    """Write the manifest of the queries; returns its file."""
    kept = np.flatnonzero(contents.has_features)

    def rows(start: int, end: int) -> pa.Table:
        chosen = kept[start:end]
        columns = _columns(plan.queries.ids, plan.query_hashes, contents, chosen)
        return pa.table(columns, QUERY_SCHEMA)

    return add_manifest(
        storage.join(plan.target.path, QUERIES), QUERY_SCHEMA, contents.num_with_features, rows
    )


def _columns(ids: pa.Array, hashes: np.ndarray, contents: Contents, rows: Rows) -> dict[str, Any]:
    """The columns that manifests of pages and of queries share."""
    files = pa.array(contents.files, pa.string())
    return {
        "id": _chosen(ids, rows),
        "sha256": digests.texts_of(hashes[rows]),
        "shard": files.take(pa.array(contents.shard[rows])),
        "num_tokens": contents.num_tokens[rows],
    }


def _chosen(column: pa.Array, rows: Rows) -> pa.Array:
    return column[rows] if isinstance(rows, slice) else column.take(pa.array(rows))


def _write_bad(path: str, bad_pages: Mapping[str, str], bad_queries: Mapping[str, str]) -> None:
    """Write the two lists into the store at `path`, one JSON object a line."""
    for (_, file, key, _), reasons in zip(_LISTS, (bad_pages, bad_queries), strict=True):
        lines = (json.dumps({key: name, "reason": why}) + "\n" for name, why in reasons.items())
        storage.write_bytes(storage.join(path, file), "".join(lines).encode())
