"""What a store is to hold, planned by the driver: its shards, and what there is to do for each.

`encoding.py` does the work of one shard, `finish.py` writes what is written last. Ray wraps the
middle; nothing here knows of it.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import pyarrow as pa

from colintern import records, storage
from colintern.config.schema import DatasetConfig, FeaturesConfig
from colintern.data import digests
from colintern.data.canonical import CanonicalDataset, read_images
from colintern.data.columns import slices
from colintern.data.compute import pc
from colintern.data.content import DatasetContent
from colintern.data.inventory import Inventory
from colintern.data.queries import Queries
from colintern.errors import ConfigError, DatasetError, MissingStageError
from colintern.features.changes import has_same_pages
from colintern.features.codec import Codec
from colintern.features.cutting import PlannedShard, PlannedShards, megaflops, shard_limits
from colintern.features.damage import recorded_sizes, whole_shards
from colintern.features.planned import Items, PartPlan, Totals, begin_part, plan_part
from colintern.features.shard_file import ShardFile
from colintern.features.store import PAGES, QUERIES, RECORD, manifests_of
from colintern.features.whole import is_whole
from colintern.features.work import Job, PlannedWork, ShardWork
from colintern.images.pixels import picture_of, pixels_of
from colintern.model.backbone import BackboneIdentity
from colintern.storage import FileState

_DATA_KEYS = "dataset_sha256."
_CORPUS_KEY = f"{_DATA_KEYS}corpus"
_EARLIER_KEY = "dataset_content"  # of records that hold `DatasetContent.footers`
_QUERY_TOKENS = 32  # a guess; it only decides how many queries share a shard


@dataclass(frozen=True)
class StoreTarget:
    """A store to be made.

    Attributes:
        dataset: of which dataset.
        path: its folder.
        identity: all that its features depend on.
        content: the hashes of the dataset's files.
        codec: how it keeps features.
    """

    dataset: DatasetConfig
    path: str
    identity: Mapping[str, Any]
    content: DatasetContent
    codec: Codec

    @property
    def inputs(self) -> dict[str, Any]:
        """What the store's record says it was made from."""
        questions = self.content.questions.items()
        return {
            **self.identity,
            _CORPUS_KEY: self.content.corpus,
            **{f"{_DATA_KEYS}{name}": sha256 for name, sha256 in questions},
        }

    def inputs_like(self, record: records.Record) -> dict[str, Any]:
        """The inputs in the kind of hash that a record of the store, or of a run, holds.

        A corpus in other files with the very pages that are recorded counts as the recorded one.
        """
        if _EARLIER_KEY in record.inputs:
            return {**self.identity, _EARLIER_KEY: self.content.footers}
        recorded = record.inputs.get(_CORPUS_KEY)
        if recorded is None or not self._has_pages_of(record):
            return self.inputs
        return {**self.inputs, _CORPUS_KEY: recorded}

    def _has_pages_of(self, record: records.Record) -> bool:
        corpus, manifest = self.content.corpus, manifests_of(record).get(PAGES)
        if record.inputs[_CORPUS_KEY] == corpus or manifest is None or manifest.sha256 is None:
            return record.inputs[_CORPUS_KEY] == corpus
        return _has_same_pages(self.dataset.path, corpus, self.path, manifest.sha256)

    def begin(self) -> None:
        """What comes before the corpus is listed: its hash, and the basis beside the shards.

        Raises:
            StorageError: the basis is damaged.
        """
        self.content.begin()
        if self.codec.basis is not None:
            self.codec.basis.copy_to(self.path)

    def is_only_data(self, name: str) -> bool:
        """Whether an input says nothing but what the dataset holds."""
        return name == _EARLIER_KEY or name.startswith(_DATA_KEYS)

    def is_finished(self) -> bool:
        """Whether the store holds just this dataset."""
        return self.record() is not None

    def record(self) -> records.Record | None:
        """The store's record, if the store holds just this dataset, and is whole.

        What it names stays there, whoever makes the store grow meanwhile.
        """
        record = records.read_record(storage.join(self.path, RECORD))
        if record is None:
            return None
        return record if self.is_held_by(record) and is_whole(self.path, record) else None

    def is_held_by(self, record: records.Record) -> bool:
        """Whether a record, of the store or of a run, is of just this dataset."""
        return record.fingerprint == records.fingerprint(self.inputs_like(record))


@dataclass(frozen=True)
class StorePlan:
    """All shards of a store, and the work for those that are new or lost.

    Attributes:
        target: the store.
        pages: of the corpus, sorted by id, each once.
        queries: those that can be asked, and why others cannot.
        query_hashes: of their texts, uint8 [N, 32].
        parts: the shards of `pages` and of `queries`.
        totals: what all of these are expected to take.
        work: for the shards that no earlier corpus had, and for the lost ones.
        sizes: what the store's record says of the shards that it names.
        whole: the shards that were there and whole when it was planned, by path.
    """

    target: StoreTarget
    pages: Inventory
    queries: Queries
    query_hashes: np.ndarray
    parts: Mapping[str, PartPlan]
    totals: Mapping[str, Totals]
    work: PlannedWork
    sizes: Mapping[str, int]
    whole: Mapping[str, FileState]

    def begin(self) -> None:
        """Keep how shards are cut, before the first one is written; under the store's lease."""
        for part, plan in self.parts.items():
            if len(plan.new):
                begin_part(storage.join(self.target.path, part), plan)

    def missing(self) -> PlannedWork:
        """The work that no earlier start has finished."""
        return self.work.without(self.whole)

    def shard_paths(self) -> list[str]:
        """The files of the finished store, sorted."""
        return sorted(
            storage.join(self.target.path, part, file)
            for part, plan in self.parts.items()
            for file in plan.files
        )

    def lost(self) -> list[str]:
        """The files of earlier corpora that are gone or damaged and are made again, sorted."""
        return sorted(
            storage.join(self.target.path, part, plan.kept.files[shard])
            for part, plan in self.parts.items()
            for shard in plan.lost
        )


def plan_store(
    target: StoreTarget,
    corpus: Inventory,
    backbone: BackboneIdentity,
    features: FeaturesConfig,
    use_gpu: bool = False,
) -> StorePlan:
    """Plan the shards of a dataset from its sorted page ids and its sorted queries.

    What is planned is found again by a later start once `StorePlan.begin` was called.

    Args:
        target: the store.
        corpus: its pages.
        backbone: how a page of some size is tiled.
        features: `shard_bytes`.
        use_gpu: what a minute's work is reckoned by.

    Raises:
        DatasetError: a page id belongs to two different images, or queries or judgements are no
            longer those that the run began with.
    """
    pages = _one_an_id(corpus, target.dataset.name)
    dataset = CanonicalDataset(target.dataset.path, target.content.questions)
    dataset.check_questions()
    queries = dataset.asked
    query_hashes = _hashes_of(queries.texts)
    sizes = recorded_sizes(records.read_record(storage.join(target.path, RECORD)))
    limits = shard_limits(features.shard_bytes, use_gpu)
    parts, totals, whole = {}, {}, {}
    for part, items in (
        (PAGES, _page_items(pages, backbone, target.codec)),
        (QUERIES, _query_items(query_hashes, backbone, target.codec)),
    ):
        there = whole_shards(target.path, part, sizes)
        folder = storage.join(target.path, part)
        parts[part] = plan_part(folder, items, limits, there)
        totals[part] = items.totals()
        whole |= {state.path: state for state in there.values()}
    work = PlannedWork(
        [
            *_jobs(target, PAGES, parts[PAGES], pages.hashes, partial(_page_work, pages, backbone)),
            *_jobs(
                target, QUERIES, parts[QUERIES], query_hashes, partial(_query_work, queries.texts)
            ),
        ]
    )
    pa.default_memory_pool().release_unused()
    return StorePlan(target, pages, queries, query_hashes, parts, totals, work, sizes, whole)


@cache
def _has_same_pages(path: str, corpus: str, store: str, manifest: str) -> bool:
    """As `changes.has_same_pages`; asked several times of one `corpus`, which is its hash."""
    try:
        return has_same_pages(path, store, manifest)
    except MissingStageError:  # of a store that is lost nobody knows what it held
        return False


def check_compute_dtype(plan: StorePlan, dtype: str) -> None:
    """Make sure that what is missing would be computed like what is there.

    `backbone.dtype: auto` says another thing on another machine, and the store's path cannot tell.

    Args:
        plan: the store.
        dtype: what its missing shards would be computed in.

    Raises:
        ConfigError: the shards that are there were computed otherwise.
    """
    missing = plan.missing()
    there = plan.whole.keys() & set(plan.shard_paths())
    if not missing or not there:
        return
    kept = min(there)
    found = ShardFile(kept).compute_dtype
    if found not in (None, dtype):
        raise ConfigError(
            f"backbone.dtype=auto: {plan.target.path} was begun in {found} and would go on in "
            f"{dtype} here; set cluster.use_gpu as before, or set backbone.dtype={dtype}, which "
            "starts a new store"
        )


def _one_an_id(corpus: Inventory, name: str) -> Inventory:
    """Each page id once: the first in the corpus of those that show the same.

    Raises:
        DatasetError: an id belongs to two different images.
    """
    again = np.zeros(len(corpus), bool)
    again[1:] = pc.equal(corpus.ids[1:], corpus.ids[:-1]).to_numpy(zero_copy_only=False)
    if not again.any():
        return corpus
    other = np.flatnonzero(again)
    first = np.maximum.accumulate(np.where(again, 0, np.arange(len(corpus))))[other]
    for at in np.argsort(corpus.origins[other]):
        pair = int(first[at]), int(other[at])
        same_bytes = (corpus.hashes[pair[0]] == corpus.hashes[pair[1]]).all()
        if not same_bytes and len({_picture(corpus, row) for row in pair}) > 1:
            files = " and ".join(corpus.location(row).file for row in pair)
            raise DatasetError(
                f"dataset {name}: 'corpus-id' {corpus.ids[pair[0]]} belongs to two different "
                f"images, in {files}"
            )
    return corpus.take(np.flatnonzero(~again))


def _picture(corpus: Inventory, row: int) -> str:
    """What a page shows, which is read and decoded for that."""
    (image,) = read_images([corpus.location(row)])
    return picture_of(corpus.hashes[row].tobytes().hex(), pixels_of(image))


def _hashes_of(texts: pa.Array) -> np.ndarray:
    """The SHA-256 of each text: uint8 [N, 32]."""
    hashes = np.empty((len(texts), digests.NUM_BYTES), np.uint8)
    start = 0
    for part in slices(texts):
        raw = b"".join(hashlib.sha256(text.encode()).digest() for text in part.to_pylist())
        hashes[start : start + len(part)] = np.frombuffer(raw, np.uint8).reshape(len(part), -1)
        start += len(part)
    return hashes


def _page_items(pages: Inventory, backbone: BackboneIdentity, codec: Codec) -> Items:
    """The distinct images that can be encoded, in the order of their page ids."""
    rows = digests.first_rows(pages.hashes)
    rows = rows[pc.is_null(pages.reasons).to_numpy(zero_copy_only=False)[rows]]
    sides = pages.widths[rows], pages.heights[rows]
    stored = of_sizes(lambda *size: codec.num_tokens(*backbone.tile_grid(*size)), *sides)
    sizes = stored.astype(np.int64) * codec.bytes_per_token
    computed = of_sizes(backbone.num_page_tokens, *sides)
    return Items(pages.hashes, rows, sizes, _megaflops(computed, backbone))


def _megaflops(page_tokens: np.ndarray, backbone: BackboneIdentity) -> np.ndarray:
    """Of encoding pages with so many tokens, int32."""
    of_number = np.zeros(page_tokens.max(initial=0) + 1, np.int32)
    for number in np.unique(page_tokens).tolist():
        of_number[number] = megaflops(backbone.flops.page(number))
    return of_number[page_tokens]


def _query_items(hashes: np.ndarray, backbone: BackboneIdentity, codec: Codec) -> Items:
    """The distinct texts, in the order of their query ids."""
    rows = digests.first_rows(hashes)
    work = megaflops(backbone.flops.query(_QUERY_TOKENS))
    sizes = np.full(len(rows), _QUERY_TOKENS * codec.bytes_per_token)
    return Items(hashes, rows, sizes, np.full(len(rows), work, np.int32))


def of_sizes(
    function: Callable[[int, int], Any], widths: np.ndarray, heights: np.ndarray
) -> np.ndarray:
    """What `function` gives for each width and height; it is called once for each size."""
    keys = widths.astype(np.int64) << 32 | heights
    distinct, index = np.unique(keys, return_inverse=True)
    values = [function(int(key >> 32), int(key & 0xFFFFFFFF)) for key in distinct]
    return np.array(values, np.int32)[index] if values else np.empty(0, np.int32)


def _jobs(
    target: StoreTarget,
    part: str,
    plan: PartPlan,
    hashes: np.ndarray,
    make: Callable[[str, PlannedShard, np.ndarray], ShardWork],
) -> Iterator[Job]:
    """The work for the shards that are lost or new: `make` is told folder, shard and its rows."""
    folder = storage.join(target.path, part)
    lost = plan.kept.select(plan.lost)
    column = digests.column_of(hashes) if plan.lost else None
    for shard, file in enumerate(lost.files):
        items = digests.column_of(lost.hashes[lost.rows_of(shard)])
        rows = pc.index_in(items, column).to_numpy()
        work = partial(_made, make, folder, lost, shard, rows)
        yield Job(storage.join(folder, file), len(rows), work)
    for shard, file in enumerate(plan.new.files):
        num_items = len(plan.new.rows_of(shard))
        work = partial(_made, make, folder, plan.new, shard, None)
        yield Job(storage.join(folder, file), num_items, work)


def _made(
    make: Callable[[str, PlannedShard, np.ndarray], ShardWork],
    folder: str,
    shards: PlannedShards,
    shard: int,
    rows: np.ndarray | None,
) -> ShardWork:
    return make(folder, shards.shard(shard), shards.rows_of(shard) if rows is None else rows)


def _page_work(
    pages: Inventory,
    backbone: BackboneIdentity,
    folder: str,
    shard: PlannedShard,
    rows: np.ndarray,
) -> ShardWork:
    sizes = pages.widths[rows], pages.heights[rows]
    return ShardWork(
        folder=folder,
        shard=shard,
        locations=tuple(pages.location(row) for row in rows),
        page_ids=tuple(pages.ids.take(pa.array(rows)).to_pylist()),
        batch_keys=tuple(of_sizes(backbone.num_page_tokens, *sizes).tolist()),
    )


def _query_work(texts: pa.Array, folder: str, shard: PlannedShard, rows: np.ndarray) -> ShardWork:
    chosen = texts.take(pa.array(rows)).to_pylist()
    return ShardWork(folder=folder, shard=shard, texts=tuple(chosen))
