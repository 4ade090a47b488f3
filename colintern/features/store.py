"""A feature store, opened for reading: pages and queries by id.

Layout: `{root}/{dataset}-{8 hex}/record.json`, `pages/` and `queries/`, each with immutable
`shard-*.safetensors`, immutable manifests and a copy of the newest one, `manifest.parquet`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Generic

import torch
from torch import Tensor

from colintern import storage
from colintern.errors import MissingStageError
from colintern.features.manifest import PageRow, QueryRow, Row, open_manifest
from colintern.features.shard_file import ShardFile
from colintern.records import Output, Record, fingerprint

RECORD = "record.json"
PAGES = "pages"
QUERIES = "queries"
BAD_PAGES = "bad_pages.jsonl"
BAD_QUERIES = "bad_queries.jsonl"
CORPUS_HASHES = "corpus_hashes.json"  # remembered; nothing but time depends on it


def store_path(root: str, dataset_name: str, identity: Mapping[str, Any]) -> str:
    """Where the store of a dataset stands, for all that its features depend on."""
    return storage.join(root, f"{dataset_name}-{fingerprint(identity)[:8]}")


def manifests_of(record: Record) -> dict[str, Output]:
    """`pages` and `queries` to the manifest that a record of a store, or of a run, names."""
    found = (output for output in record.outputs if output.path.endswith(".parquet"))
    return {output.path.partition("/")[0]: output for output in found}


class Items(Generic[Row]):
    """The pages or the queries of a store."""

    def __init__(self, folder: str, rows: Sequence[Row]) -> None:
        self._folder = folder
        self._rows = {row.id: row for row in rows}
        self._shards: dict[str, ShardFile] = {}

    @property
    def ids(self) -> list[str]:
        """All ids, sorted by code point."""
        return list(self._rows)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._rows

    def row(self, item_id: str) -> Row:
        """The manifest row of one item."""
        return self._rows[item_id]

    def read(self, item_ids: Sequence[str]) -> tuple[Tensor, list[int]]:
        """Features of several items, or of none, one after the other.

        Returns:
            token_TH in the stored dtype on the CPU, and the number of tokens of each item.
        """
        rows = [self._rows[item_id] for item_id in item_ids]
        if not rows:
            return self._shard(next(iter(self._rows.values())).shard).nothing(), []
        wanted: dict[str, list[str]] = {}
        for row in rows:
            wanted.setdefault(row.shard, []).append(row.sha256)
        found: dict[str, Tensor] = {}
        for file, hashes in wanted.items():  # what one shard holds is read together
            found.update(zip(hashes, self._shard(file).read(hashes), strict=True))
        parts = [found[row.sha256] for row in rows]
        return torch.cat(parts), [part.shape[0] for part in parts]

    def _shard(self, file: str) -> ShardFile:
        if file not in self._shards:
            self._shards[file] = ShardFile(storage.join(self._folder, file))
        return self._shards[file]


class FeatureStore:
    """A finished store, as one of its manifests tells it.

    Args:
        path: its folder.
        manifests: `pages` and `queries` to the hash of the manifest to read, as a run has recorded
            them; whatever is left out is read as it is now.

    Raises:
        MissingStageError: the store has no record, that is, encoding has not finished, or has no
            such manifest.
    """

    def __init__(self, path: str, manifests: Mapping[str, str] | None = None) -> None:
        if not storage.exists(storage.join(path, RECORD)):
            raise MissingStageError(
                f"{path}: is not a finished feature store; run colintern encode"
            )
        self.path = path
        wanted = manifests or {}
        folders = {part: storage.join(path, part) for part in (PAGES, QUERIES)}
        pages, pages_sha256 = open_manifest(folders[PAGES], PageRow, wanted.get(PAGES))
        queries, queries_sha256 = open_manifest(folders[QUERIES], QueryRow, wanted.get(QUERIES))
        self.manifests = {PAGES: pages_sha256, QUERIES: queries_sha256}
        self.pages = Items(folders[PAGES], pages)
        self.queries = Items(folders[QUERIES], queries)
