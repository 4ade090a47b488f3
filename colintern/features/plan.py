"""What a store is to hold, planned by the driver: its shards, and what there is to do for each.

`encoding.py` does the work of one shard, `finish.py` writes what is written last. Ray wraps the
middle; nothing here knows of it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from colintern import records, storage
from colintern.config import DatasetConfig, FeaturesConfig
from colintern.data.canonical import CanonicalDataset, PageLocation
from colintern.data.content import DatasetContent
from colintern.data.entities import Query
from colintern.data.inventory import PageEntry
from colintern.errors import ConfigError, DatasetError
from colintern.features.cutting import Item, PlannedShard, plan_shards
from colintern.features.manifest import MANIFEST, PageRow, QueryRow, read_manifest
from colintern.features.shard_file import ShardFile
from colintern.features.store import PAGES, QUERIES, RECORD
from colintern.model.backbone import BackboneIdentity

_ROW_TYPES = {PAGES: PageRow, QUERIES: QueryRow}
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
        """The store's record, if the store holds just this dataset.

        What it names stays there, whoever makes the store grow meanwhile.
        """
        record = records.read_record(storage.join(self.path, RECORD))
        if record is None:
            return None
        is_this = record.fingerprint == records.fingerprint(self.inputs_like(record))
        return record if is_this else None


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
            for part in _ROW_TYPES
            for path in storage.list_files(storage.join(self.target.path, part), ".safetensors")
        }
        return [work for work in self.work if work.path not in done]

    def shard_paths(self) -> list[str]:
        """The files of the finished store, sorted: those of earlier corpora, and the work's."""
        kept = {
            storage.join(self.target.path, part, file)
            for part in _ROW_TYPES
            for file in _kept_shards(self.target, part).values()
        }
        return sorted(kept | {work.path for work in self.work})


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
    page_work = _page_work(target, entries, backbone, features.shard_bytes)
    query_work = _query_work(target, queries, backbone, features.shard_bytes)
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


def _page_work(
    target: StoreTarget, entries: Sequence[PageEntry], backbone: BackboneIdentity, shard_bytes: int
) -> list[ShardWork]:
    """The work for the images that no earlier corpus had."""
    kept = _kept_shards(target, PAGES)
    new = {
        entry.sha256: entry for entry in entries if entry.bad is None and entry.sha256 not in kept
    }
    num_tokens = {
        sha256: backbone.num_page_tokens(entry.size.width, entry.size.height)
        for sha256, entry in new.items()
    }
    items = [Item(sha256, tokens * _token_bytes(backbone)) for sha256, tokens in num_tokens.items()]
    return [
        ShardWork(
            folder=storage.join(target.path, PAGES),
            shard=shard,
            locations=tuple(new[sha256].location for sha256 in shard.items),
            page_ids=tuple(new[sha256].page_id for sha256 in shard.items),
            batch_keys=tuple(num_tokens[sha256] for sha256 in shard.items),
        )
        for shard in plan_shards(items, shard_bytes, first_number=len(set(kept.values())))
    ]


def _query_work(
    target: StoreTarget, queries: Sequence[Query], backbone: BackboneIdentity, shard_bytes: int
) -> list[ShardWork]:
    """The work for the texts that no earlier corpus had."""
    kept = _kept_shards(target, QUERIES)
    texts = {text_sha256(query): query.text for query in queries}
    item_bytes = _QUERY_TOKENS * _token_bytes(backbone)
    items = [Item(sha256, item_bytes) for sha256 in texts if sha256 not in kept]
    return [
        ShardWork(
            folder=storage.join(target.path, QUERIES),
            shard=shard,
            texts=tuple(texts[sha256] for sha256 in shard.items),
        )
        for shard in plan_shards(items, shard_bytes, first_number=len(set(kept.values())))
    ]


def _token_bytes(backbone: BackboneIdentity) -> int:
    return backbone.width * _BYTES_PER_NUMBER


def _kept_shards(target: StoreTarget, part: str) -> dict[str, str]:
    """Item hash to shard file, for what an earlier, smaller corpus has encoded."""
    path = storage.join(target.path, part, MANIFEST)
    if not storage.exists(path):
        return {}
    return {row.sha256: row.shard for row in read_manifest(path, _ROW_TYPES[part])}
