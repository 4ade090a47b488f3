"""What is written when all shards of a store are there: manifests, what is left out, the record."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa

from colintern import records, storage
from colintern.data.canonical import CanonicalDataset
from colintern.data.inventory import PageEntry
from colintern.errors import TooManyBadPagesError
from colintern.features.damage import check_whole
from colintern.features.manifest import PAGE_SCHEMA, QUERY_SCHEMA, add_manifest, num_rows
from colintern.features.plan import StorePlan, StoreTarget, text_sha256
from colintern.features.planned import write_plan
from colintern.features.shard_file import ShardFile
from colintern.features.store import (
    BAD_PAGES,
    BAD_QUERIES,
    PAGES,
    QUERIES,
    RECORD,
    manifests_of,
)
from colintern.model.backbone import BackboneIdentity

_NOT_IN_A_SHARD = "no features"
_NAMED_BAD = 3
# What is listed as left out: of which part of the store, in which file, by which key, called what.
_LISTS = (
    (PAGES, BAD_PAGES, "page_id", "pages"),
    (QUERIES, BAD_QUERIES, "query_id", "queries"),
)


@dataclass(frozen=True)
class LeftOut:
    """What a finished store has no features of: page id, and query id, to the reason."""

    pages: Mapping[str, str]
    queries: Mapping[str, str]


@dataclass(frozen=True)
class _Contents:
    """What the shards hold, by the hash of the image or of the query's text.

    Attributes:
        places: shard file and number of tokens of everything that has features.
        reasons: why the rest has none.
        sizes: of the shards, by their paths.
        pixels: the hashes of what pages show; shards of an earlier version have none.
    """

    places: Mapping[str, tuple[str, int]]
    reasons: Mapping[str, str]
    sizes: Mapping[str, int]
    pixels: Mapping[str, str]


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
        f"dataset {name}: {len(reasons)} of {num_items} {kind} cannot be used, more than "
        f"data.max_bad_fraction={limit} allows; the first: {first}"
    )


def finish_store(
    plan: StorePlan, backbone: BackboneIdentity, max_bad_fraction: float, started_at: str
) -> LeftOut:
    """Write manifests, the lists of what is left out, and last the record.

    Raises:
        DatasetError: the dataset has changed since it was planned.
        TooManyBadPagesError: more than `max_bad_fraction` of the pages, or of the queries that can
            be asked, have no features.
    """
    plan.target.content.check_unchanged()
    contents = _read_contents(plan)
    page_reasons, query_reasons = _page_reasons(plan, contents), _query_reasons(plan, contents)
    name, num_queries = plan.target.dataset.name, len(plan.queries)
    check_bad_fraction(name, page_reasons, len(plan.entries), max_bad_fraction)
    check_bad_fraction(name, query_reasons, num_queries, max_bad_fraction, kind="queries")
    left_out = LeftOut(page_reasons, {**plan.refused_queries, **query_reasons})
    manifests = _write_manifests(plan, contents, backbone)
    _write_left_out(plan.target.path, left_out)
    store = plan.target.path
    written = [records.describe(store, file) for file in (*manifests, BAD_PAGES, BAD_QUERIES)]
    shards = [
        records.Output(path.removeprefix(store).lstrip("/"), contents.sizes[path], None)
        for path in plan.shard_paths()
    ]
    path = storage.join(store, RECORD)
    records.record_outputs(path, plan.target.inputs, [*written, *shards], started_at)
    return left_out


def finished_record(target: StoreTarget, max_bad_fraction: float) -> records.Record | None:
    """The record of a store that is finished already; None of one that has to be made.

    Raises:
        TooManyBadPagesError: it was finished under a larger limit than `max_bad_fraction`.
    """
    record = target.record()
    if record is None:
        return None
    dataset = CanonicalDataset(target.dataset.path, target.content.questions)
    refused = dataset.refused_queries()  # listed too, and not counted: see `finish_store`
    for part, file, key, kind in _LISTS:
        lines = storage.read_bytes(storage.join(target.path, file)).splitlines()
        reasons = {line[key]: line["reason"] for line in map(json.loads, lines)}
        reasons = {name: why for name, why in reasons.items() if name not in refused}
        manifest = storage.join(target.path, manifests_of(record)[part].path)
        num_items = num_rows(manifest) + len(reasons)
        check_bad_fraction(target.dataset.name, reasons, num_items, max_bad_fraction, kind=kind)
    return record


def _read_contents(plan: StorePlan) -> _Contents:
    places: dict[str, tuple[str, int]] = {}
    reasons: dict[str, str] = {}
    pixels: dict[str, str] = {}
    sizes = plan.whole_shards()
    check_whole(plan.shard_paths(), sizes)
    for path in plan.shard_paths():
        shard, file = ShardFile(path, sizes[path]), path.rpartition("/")[2]
        places.update({sha256: (file, tokens) for sha256, tokens in shard.num_tokens().items()})
        reasons.update(shard.bad)
        pixels.update(shard.pixels)
    return _Contents(places, reasons, sizes, pixels)


def _page_reasons(plan: StorePlan, contents: _Contents) -> dict[str, str]:
    """Page id to the reason, for the pages without features."""
    return {
        entry.page_id: entry.bad or contents.reasons.get(entry.sha256, _NOT_IN_A_SHARD)
        for entry in plan.entries
        if entry.sha256 not in contents.places
    }


def _query_reasons(plan: StorePlan, contents: _Contents) -> dict[str, str]:
    """Query id to the reason, for the queries that can be asked and have no features."""
    return {
        query.query_id: contents.reasons.get(sha256, _NOT_IN_A_SHARD)
        for query in plan.queries
        if (sha256 := text_sha256(query)) not in contents.places
    }


def _write_manifests(plan: StorePlan, contents: _Contents, backbone: BackboneIdentity) -> list[str]:
    """Returns where they stand in the store."""
    for part, shards in plan.parts.items():
        write_plan(storage.join(plan.target.path, part), shards.shards)
    places = contents.places
    page_rows = (
        _page_row(entry, contents, backbone) for entry in plan.entries if entry.sha256 in places
    )
    query_rows = (
        dict(zip(QUERY_SCHEMA.names, (query.query_id, sha256, *places[sha256]), strict=True))
        for query in plan.queries
        if (sha256 := text_sha256(query)) in places
    )
    pages, queries = (storage.join(plan.target.path, part) for part in (PAGES, QUERIES))
    return [
        storage.join(
            PAGES, add_manifest(pages, pa.Table.from_pylist(list(page_rows), PAGE_SCHEMA))
        ),
        storage.join(
            QUERIES, add_manifest(queries, pa.Table.from_pylist(list(query_rows), QUERY_SCHEMA))
        ),
    ]


def _page_row(
    entry: PageEntry, contents: _Contents, backbone: BackboneIdentity
) -> dict[str, object]:
    rows, columns = backbone.tile_grid(entry.size.width, entry.size.height)
    shard, num_tokens = contents.places[entry.sha256]
    return dict(
        id=entry.page_id,
        sha256=entry.sha256,
        shard=shard,
        num_tokens=num_tokens,
        doc_id=entry.doc_id,
        width=entry.size.width,
        height=entry.size.height,
        tile_rows=rows,
        tile_columns=columns,
        # What was encoded was decoded here; what the corpus says is taken on trust.
        pixels_sha256=contents.pixels.get(entry.sha256, entry.pixels_sha256),
    )


def _write_left_out(path: str, left_out: LeftOut) -> None:
    """Write the two lists into the store at `path`, one JSON object a line."""
    for (_, file, key, _), reasons in zip(_LISTS, (left_out.pages, left_out.queries), strict=True):
        lines = (json.dumps({key: name, "reason": why}) + "\n" for name, why in reasons.items())
        storage.write_bytes(storage.join(path, file), "".join(lines).encode())
