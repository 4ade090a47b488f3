"""From a dataset to a feature store: what is planned, what one worker does, what is written last.

The driver plans (`plan_store`), a worker encodes one shard (`encode_shard`), the driver finishes
(`finish_store`). Ray wraps the middle; nothing here knows of it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from colintern import records, storage
from colintern.config import DatasetConfig, FeaturesConfig
from colintern.data.canonical import CanonicalDataset, PageLocation, read_images
from colintern.data.entities import Query
from colintern.data.images import BadImageError, decode
from colintern.data.inventory import PageEntry
from colintern.errors import ConfigError, DatasetError, TooManyBadPagesError
from colintern.features.manifest import (
    PageRow,
    QueryRow,
    read_manifest,
    write_manifest,
)
from colintern.features.plan import Item, PlannedShard, plan_shards
from colintern.features.shard_file import ShardFile, write_shard
from colintern.features.store import BAD_PAGES, BAD_QUERIES, MANIFEST, PAGES, QUERIES, RECORD
from colintern.model.backbone import BackboneIdentity, FrozenBackbone

STORED_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
_BYTES_PER_NUMBER = 2
_NOT_FINITE = "the backbone's features of it are not finite"
_QUERY_TOKENS = 32  # a guess; it only decides how many queries share a shard


@dataclass(frozen=True)
class StoreTarget:
    """A store to be made: of which dataset, where, and all that its features depend on."""

    dataset: DatasetConfig
    path: str
    identity: Mapping[str, Any]
    content_hash: str

    @property
    def inputs(self) -> dict[str, Any]:
        """What the store's record says it was made from."""
        return {**self.identity, "dataset_content": self.content_hash}

    def is_finished(self) -> bool:
        """Whether the store holds just this dataset."""
        record = records.read_record(storage.join(self.path, RECORD))
        return record is not None and record.fingerprint == records.fingerprint(self.inputs)


@dataclass(frozen=True)
class ShardWork:
    """One planned shard: a row of work.

    Attributes:
        folder: the store's `pages` or `queries`.
        shard: file name and item hashes, in the order of the plan.
        locations: where each page stands in the corpus; empty for queries.
        batch_keys: pages with equal keys have equally many tokens and may share a model batch.
        texts: the text of each query; empty for pages.
    """

    folder: str
    shard: PlannedShard
    locations: tuple[PageLocation, ...] = ()
    batch_keys: tuple[int, ...] = ()
    texts: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The file that this work writes."""
        return storage.join(self.folder, self.shard.file)

    def to_json(self) -> str:
        """The work as text, for a row of a Ray Data block."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> "ShardWork":
        """The inverse of `to_json`."""
        row = json.loads(text)
        return ShardWork(
            folder=row["folder"],
            shard=PlannedShard(row["shard"]["file"], tuple(row["shard"]["items"])),
            locations=tuple(PageLocation(**location) for location in row["locations"]),
            batch_keys=tuple(row["batch_keys"]),
            texts=tuple(row["texts"]),
        )


@dataclass(frozen=True)
class StorePlan:
    """All shards of a store: those of earlier corpora, and the work for the items that are new."""

    target: StoreTarget
    entries: Sequence[PageEntry]
    queries: Sequence[Query]
    refused_queries: Mapping[str, str]
    work: Sequence[ShardWork]

    def missing(self) -> list[ShardWork]:
        """The work that no earlier start has finished."""
        done = {
            path
            for part in (PAGES, QUERIES)
            for path in storage.list_files(storage.join(self.target.path, part), ".safetensors")
        }
        return [work for work in self.work if work.path not in done]


@dataclass(frozen=True)
class LeftOut:
    """What a finished store has no features of: page id, and query id, to the reason."""

    pages: Mapping[str, str]
    queries: Mapping[str, str]


def plan_store(
    target: StoreTarget,
    entries: Sequence[PageEntry],
    backbone: BackboneIdentity,
    features: FeaturesConfig,
) -> StorePlan:
    """Plan the shards of a dataset from its sorted page ids and its sorted queries.

    Args:
        target: the store.
        entries: the inventory of the corpus.
        backbone: how many tokens a page of some size has.
        features: `shard_bytes`.
    """
    entries = _one_an_id(entries, target.dataset.name)
    dataset = CanonicalDataset(target.dataset.path)
    queries = dataset.queries()
    old_pages = _old_shards(storage.join(target.path, PAGES), PageRow)
    old_queries = _old_shards(storage.join(target.path, QUERIES), QueryRow)
    token_bytes = backbone.width * _BYTES_PER_NUMBER

    good = {entry.sha256: entry for entry in entries if entry.bad is None}
    tokens = {
        sha256: backbone.num_page_tokens(entry.size.width, entry.size.height)
        for sha256, entry in good.items()
    }
    page_items = (
        Item(entry.sha256, tokens[entry.sha256] * token_bytes)
        for entry in entries
        if entry.bad is None and entry.sha256 not in old_pages
    )
    texts = {_text_hash(query): query.text for query in queries}
    query_items = (
        Item(sha256, _QUERY_TOKENS * token_bytes) for sha256 in texts if sha256 not in old_queries
    )
    page_work = [
        ShardWork(
            folder=storage.join(target.path, PAGES),
            shard=shard,
            locations=tuple(good[sha256].location for sha256 in shard.items),
            batch_keys=tuple(tokens[sha256] for sha256 in shard.items),
        )
        for shard in plan_shards(page_items, features.shard_bytes, len(set(old_pages.values())))
    ]
    query_work = [
        ShardWork(
            folder=storage.join(target.path, QUERIES),
            shard=shard,
            texts=tuple(texts[sha256] for sha256 in shard.items),
        )
        for shard in plan_shards(query_items, features.shard_bytes, len(set(old_queries.values())))
    ]
    return StorePlan(target, entries, queries, dataset.refused_queries(), [*page_work, *query_work])


def check_compute_dtype(plan: StorePlan, dtype: str) -> None:
    """Make sure that what is missing would be computed like what is there.

    `backbone.dtype: auto` says another thing on another machine, and the store's path cannot tell.

    Args:
        plan: the store.
        dtype: what its missing shards would be computed in.

    Raises:
        ConfigError: the shards that are there were computed otherwise.
    """
    missing = {work.path for work in plan.missing()}
    paths = (storage.join(folder, file) for folder, file in sorted(_all_shards(plan)))
    kept = next((path for path in paths if path not in missing), None)
    if not missing or kept is None:
        return
    found = ShardFile(kept).compute_dtype
    if found not in (None, dtype):
        raise ConfigError(
            f"backbone.dtype=auto: {plan.target.path} was begun in {found} and would go on in "
            f"{dtype} here; set cluster.use_gpu as before, or set backbone.dtype={dtype}, which "
            "begins a store of its own"
        )


def encode_shard(
    work: ShardWork, backbone: FrozenBackbone, dtype: str, batch_tokens: int
) -> tuple[int, int]:
    """Encode one planned shard and write it; what cannot be used is noted in it with its reason.

    Returns:
        How many items and how many tokens were written.
    """
    features: dict[str, Tensor] = {}
    bad: dict[str, str] = {}
    if work.texts:
        encoded = backbone.encode_queries(work.texts, batch_tokens=batch_tokens)
        features = dict(zip(work.shard.items, encoded, strict=True))
    for places in _model_batches(work.batch_keys, batch_tokens):
        pictures = {}
        images = read_images([work.locations[place] for place in places])
        for place, image in zip(places, images, strict=True):
            try:
                pictures[work.shard.items[place]] = decode(image)
            except BadImageError as error:
                bad[work.shard.items[place]] = str(error)
        encoded = backbone.encode_pages(list(pictures.values()), batch_tokens=batch_tokens)
        features.update(zip(pictures, encoded, strict=True))
    features = {name: tensor.to(STORED_DTYPES[dtype]) for name, tensor in features.items()}
    # One such item would turn every loss, and every score of its batch, into NaN.
    overflown = [name for name, tensor in features.items() if not tensor.isfinite().all()]
    for name in overflown:
        del features[name]
        bad[name] = _NOT_FINITE
    write_shard(work.path, features, bad, backbone.compute_dtype)
    return len(features), sum(tensor.shape[0] for tensor in features.values())


def check_bad_fraction(
    name: str, num_bad: int, num_items: int, limit: float, *, kind: str = "pages"
) -> None:
    """Stop when too many pages, or queries, of a dataset cannot be used.

    Raises:
        TooManyBadPagesError: more than `limit` of them.
    """
    if num_bad > limit * num_items:
        raise TooManyBadPagesError(
            f"dataset {name}: {num_bad} of {num_items} {kind} cannot be used, more than "
            f"data.max_bad_fraction={limit} allows; the log names the first of them"
        )


def finish_store(
    plan: StorePlan, backbone: BackboneIdentity, max_bad_fraction: float, started_at: str
) -> LeftOut:
    """Write manifests, the lists of what is left out, and last the record.

    Raises:
        TooManyBadPagesError: more than `max_bad_fraction` of the pages, or of the queries that can
            be asked, have no features.
    """
    target = plan.target
    located: dict[str, tuple[str, int]] = {}
    reasons: dict[str, str] = {}
    for folder, file in _all_shards(plan):
        shard = ShardFile(storage.join(folder, file))
        located.update({name: (file, tokens) for name, tokens in shard.num_tokens().items()})
        reasons.update(shard.bad)
    bad = {
        entry.page_id: entry.bad or reasons.get(entry.sha256, "no features")
        for entry in plan.entries
        if entry.sha256 not in located
    }
    silent = {
        query.query_id: reasons.get(sha256, "no features")
        for query in plan.queries
        if (sha256 := _text_hash(query)) not in located
    }
    name = target.dataset.name
    check_bad_fraction(name, len(bad), len(plan.entries), max_bad_fraction)
    check_bad_fraction(name, len(silent), len(plan.queries), max_bad_fraction, kind="queries")
    left_out = LeftOut(bad, {**plan.refused_queries, **silent})

    page_manifest = storage.join(PAGES, MANIFEST)
    query_manifest = storage.join(QUERIES, MANIFEST)
    page_rows = (
        _page_row(entry, located, backbone) for entry in plan.entries if entry.page_id not in bad
    )
    query_rows = (
        QueryRow(query.query_id, sha256, *located[sha256])
        for query in plan.queries
        if (sha256 := _text_hash(query)) in located
    )
    write_manifest(storage.join(target.path, page_manifest), page_rows, PageRow)
    write_manifest(storage.join(target.path, query_manifest), query_rows, QueryRow)
    _write_reasons(storage.join(target.path, BAD_PAGES), "page_id", left_out.pages)
    _write_reasons(storage.join(target.path, BAD_QUERIES), "query_id", left_out.queries)
    records.write_record(
        storage.join(target.path, RECORD),
        target.path,
        target.inputs,
        [page_manifest, query_manifest, BAD_PAGES, BAD_QUERIES],
        started_at,
    )
    return left_out


def _write_reasons(path: str, key: str, reasons: Mapping[str, str]) -> None:
    lines = (json.dumps({key: name, "reason": why}) + "\n" for name, why in reasons.items())
    storage.write_bytes(path, "".join(lines).encode())


def _one_an_id(entries: Sequence[PageEntry], name: str) -> list[PageEntry]:
    """The entries sorted by page id, each id once.

    Raises:
        DatasetError: an id stands for two images.
    """
    found: dict[str, PageEntry] = {}
    for entry in entries:
        other = found.setdefault(entry.page_id, entry)
        if other.sha256 != entry.sha256:
            raise DatasetError(
                f"dataset {name}: 'corpus-id' {entry.page_id} stands for two images, in "
                f"{other.location.file} and {entry.location.file}"
            )
    return [found[page_id] for page_id in sorted(found)]


def _model_batches(keys: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Places of pages with equally many tokens, about `batch_tokens` together, at least one."""
    places = sorted(range(len(keys)), key=lambda place: (keys[place], place))
    batch: list[int] = []
    for place in places:
        same = batch and keys[batch[0]] == keys[place]
        if batch and not (same and (len(batch) + 1) * keys[place] <= batch_tokens):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _old_shards(folder: str, row_type: type[QueryRow]) -> dict[str, str]:
    """Item hash to shard file, for what an earlier, smaller corpus has encoded."""
    path = storage.join(folder, MANIFEST)
    if not storage.exists(path):
        return {}
    return {row.sha256: row.shard for row in read_manifest(path, row_type)}


def _all_shards(plan: StorePlan) -> set[tuple[str, str]]:
    folders = {part: storage.join(plan.target.path, part) for part in (PAGES, QUERIES)}
    old = {
        (folder, row.shard)
        for part, folder in folders.items()
        if storage.exists(path := storage.join(folder, MANIFEST))
        for row in read_manifest(path, PageRow if part == PAGES else QueryRow)
    }
    return old | {(work.folder, work.shard.file) for work in plan.work}


def _page_row(
    entry: PageEntry, located: Mapping[str, tuple[str, int]], backbone: BackboneIdentity
) -> PageRow:
    rows, columns = backbone.tile_grid(entry.size.width, entry.size.height)
    return PageRow(
        entry.page_id,
        entry.sha256,
        *located[entry.sha256],
        doc_id=entry.doc_id,
        width=entry.size.width,
        height=entry.size.height,
        tile_rows=rows,
        tile_columns=columns,
    )


def _text_hash(query: Query) -> str:
    return storage.sha256_of_bytes(query.text.encode())
