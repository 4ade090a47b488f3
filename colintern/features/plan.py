"""What a store is to hold, planned by the driver: its shards, and what there is to do for each.

`encoding.py` does the work of one shard, `finish.py` writes what is written last. Ray wraps the
middle; nothing here knows of it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from colintern import records, storage
from colintern.config.schema import DatasetConfig, FeaturesConfig
from colintern.data.canonical import CanonicalDataset, PageLocation, read_images
from colintern.data.content import DatasetContent
from colintern.data.entities import Query
from colintern.data.inventory import PageEntry
from colintern.errors import ConfigError, DatasetError
from colintern.features.cutting import Item, PlannedShard
from colintern.features.damage import recorded_sizes, whole_shards
from colintern.features.planned import PartPlan, plan_part
from colintern.features.shard_file import ShardFile
from colintern.features.store import PAGES, QUERIES, RECORD
from colintern.features.whole import is_whole
from colintern.images.pixels import picture_of, pixels_of
from colintern.model.backbone import BackboneIdentity

_CORPUS_KEY = "dataset_sha256.corpus"
_EARLIER_KEY = "dataset_content"  # of records that hold `DatasetContent.footers`
_BYTES_PER_NUMBER = 2
_QUERY_TOKENS = 32  # a guess; it only decides how many queries share a shard


@dataclass(frozen=True)
class StoreTarget:
    """A store to be made: of which dataset, where, and all that its features depend on."""

    dataset: DatasetConfig
    path: str
    identity: Mapping[str, Any]
    content: DatasetContent

    @property
    def inputs(self) -> dict[str, Any]:
        """What the store's record says it was made from."""
        questions = self.content.questions.items()
        return {
            **self.identity,
            _CORPUS_KEY: self.content.corpus,
            **{f"dataset_sha256.{name}": sha256 for name, sha256 in questions},
        }

    def inputs_like(self, record: records.Record) -> dict[str, Any]:
        """The inputs in the kind of hash that a record of the store, or of a run, holds."""
        if _EARLIER_KEY in record.inputs:
            return {**self.identity, _EARLIER_KEY: self.content.footers}
        return self.inputs

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
        is_this = record.fingerprint == records.fingerprint(self.inputs_like(record))
        return record if is_this and is_whole(self.path, record) else None


@dataclass(frozen=True)
class ShardWork:
    """One planned shard: a row of work.

    Attributes:
        folder: the store's `pages` or `queries`.
        shard: file name and item hashes, in the order of the plan.
        locations: where each page stands in the corpus; empty for queries.
        page_ids: what each page is called, for messages; empty for queries.
        batch_keys: pages with equal keys have equally many tokens and may share a model batch.
        texts: the text of each query; empty for pages.
    """

    folder: str
    shard: PlannedShard
    locations: tuple[PageLocation, ...] = ()
    page_ids: tuple[str, ...] = ()
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
            page_ids=tuple(row["page_ids"]),
            batch_keys=tuple(row["batch_keys"]),
            texts=tuple(row["texts"]),
        )


@dataclass(frozen=True)
class StorePlan:
    """All shards of a store, and the work for those that are new or lost.

    Attributes:
        parts: the shards of `pages` and of `queries`.
        sizes: what the store's record says of the shards that it names.
    """

    target: StoreTarget
    entries: Sequence[PageEntry]
    queries: Sequence[Query]
    refused_queries: Mapping[str, str]
    parts: Mapping[str, PartPlan]
    work: Sequence[ShardWork]
    sizes: Mapping[str, int]

    def missing(self) -> list[ShardWork]:
        """The work that no earlier start has finished."""
        done = self.whole_shards()
        return [work for work in self.work if work.path not in done]

    def whole_shards(self) -> dict[str, int]:
        """The shards that are there and whole, by their paths, with their sizes."""
        return {
            state.path: state.size
            for part in self.parts
            for state in whole_shards(self.target.path, part, self.sizes).values()
        }

    def shard_paths(self) -> list[str]:
        """The files of the finished store, sorted."""
        return sorted(
            storage.join(self.target.path, part, shard.file)
            for part, plan in self.parts.items()
            for shard in plan.shards
        )

    def lost(self) -> list[str]:
        """The files of earlier corpora that are gone or damaged and are made again, sorted."""
        return sorted(
            storage.join(self.target.path, part, shard.file)
            for part, plan in self.parts.items()
            for shard in plan.lost
        )


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

    Raises:
        DatasetError: a page id stands for two images, or queries or judgements are no longer those
            that the run began with.
    """
    entries = _one_an_id(entries, target.dataset.name)
    dataset = CanonicalDataset(target.dataset.path, target.content.questions)
    dataset.check_questions()
    queries = dataset.queries()
    pages, texts = _page_items(entries, backbone), _query_items(queries, backbone)
    sizes = recorded_sizes(records.read_record(storage.join(target.path, RECORD)))
    parts = {
        part: plan_part(target.path, part, items, features.shard_bytes, sizes)
        for part, items in ((PAGES, pages), (QUERIES, texts))
    }
    work = [
        *_page_work(target, parts[PAGES], entries, backbone),
        *_query_work(target, parts[QUERIES], queries),
    ]
    return StorePlan(target, entries, queries, dataset.refused_queries(), parts, work, sizes)


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
    kept = next((path for path in plan.shard_paths() if path not in missing), None)
    if not missing or kept is None:
        return
    found = ShardFile(kept).compute_dtype
    if found not in (None, dtype):
        raise ConfigError(
            f"backbone.dtype=auto: {plan.target.path} was begun in {found} and would go on in "
            f"{dtype} here; set cluster.use_gpu as before, or set backbone.dtype={dtype}, which "
            "begins a store of its own"
        )


def text_sha256(query: Query) -> str:
    """What the features of a query are filed under."""
    return storage.sha256_of_bytes(query.text.encode())


def _one_an_id(entries: Sequence[PageEntry], name: str) -> list[PageEntry]:
    """The entries sorted by page id, each id once: the first of those that show the same.

    Raises:
        DatasetError: an id stands for two images.
    """
    found: dict[str, PageEntry] = {}
    for entry in entries:
        other = found.setdefault(entry.page_id, entry)
        if other.sha256 != entry.sha256 and _picture(other) != _picture(entry):
            raise DatasetError(
                f"dataset {name}: 'corpus-id' {entry.page_id} stands for two images, in "
                f"{other.location.file} and {entry.location.file}"
            )
    return [found[page_id] for page_id in sorted(found)]


def _picture(entry: PageEntry) -> str:
    """What a page shows, which is read and decoded for that."""
    (image,) = read_images([entry.location])
    return picture_of(entry.sha256, pixels_of(image))


def _page_items(entries: Sequence[PageEntry], backbone: BackboneIdentity) -> list[Item]:
    """The distinct images that can be encoded, in the order of their page ids."""
    sizes = {entry.sha256: entry.size for entry in entries if entry.bad is None}
    return [
        Item(sha256, backbone.num_page_tokens(size.width, size.height) * _token_bytes(backbone))
        for sha256, size in sizes.items()
    ]


def _query_items(queries: Sequence[Query], backbone: BackboneIdentity) -> list[Item]:
    """The distinct texts, in the order of their query ids."""
    item_bytes = _QUERY_TOKENS * _token_bytes(backbone)
    return [Item(sha256, item_bytes) for sha256 in dict.fromkeys(map(text_sha256, queries))]


def _page_work(
    target: StoreTarget, plan: PartPlan, entries: Sequence[PageEntry], backbone: BackboneIdentity
) -> list[ShardWork]:
    """The work for the shards that are lost or new."""
    shards = (*plan.lost, *plan.new)
    wanted = {sha256 for shard in shards for sha256 in shard.items}
    found = {
        entry.sha256: entry for entry in entries if entry.sha256 in wanted and entry.bad is None
    }
    return [
        ShardWork(
            folder=storage.join(target.path, PAGES),
            shard=shard,
            locations=tuple(found[sha256].location for sha256 in shard.items),
            page_ids=tuple(found[sha256].page_id for sha256 in shard.items),
            batch_keys=tuple(
                backbone.num_page_tokens(found[sha256].size.width, found[sha256].size.height)
                for sha256 in shard.items
            ),
        )
        for shard in shards
    ]


def _query_work(target: StoreTarget, plan: PartPlan, queries: Sequence[Query]) -> list[ShardWork]:
    """The work for the shards that are lost or new."""
    texts = {text_sha256(query): query.text for query in queries}
    return [
        ShardWork(
            folder=storage.join(target.path, QUERIES),
            shard=shard,
            texts=tuple(texts[sha256] for sha256 in shard.items),
        )
        for shard in (*plan.lost, *plan.new)
    ]


def _token_bytes(backbone: BackboneIdentity) -> int:
    return backbone.width * _BYTES_PER_NUMBER
