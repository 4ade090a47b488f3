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
from colintern.features.damage import check_whole, recorded_sizes, whole_shards
from colintern.features.manifest import PageRow, QueryRow, Row, is_manifest, open_manifest
from colintern.features.shard_file import ShardFile
from colintern.records import Output, Record, fingerprint, read_record
from colintern.storage import FileState

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
    parts = ((output.path.partition("/"), output) for output in record.outputs)
    return {part: output for (part, _, file), output in parts if is_manifest(file)}


class Items(Generic[Row]):
    """The pages or the queries of a store.

    Args:
        rows: of their manifest.
        shards: file name to how it looks, of the shards that are whole.
    """

    def __init__(self, rows: Sequence[Row], shards: Mapping[str, FileState]) -> None:
        self._files = shards
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
            self._shards[file] = ShardFile(self._files[file].path, self._files[file].size)
        return self._shards[file]


class FeatureStore:
    """A finished store, as one of its manifests tells it.

    Args:
        path: its folder.
        manifests: `pages` and `queries` to the hash of the manifest to read, as a run has recorded
            them; whatever is left out is read as it is now.

    Attributes:
        manifests: the hashes of those that were read.

    Raises:
        MissingStageError: the store has no record, that is, encoding has not finished, or has no
            such manifest.
        DamagedShardError: a shard that the manifest names is gone, or not whole.
    """

    def __init__(self, path: str, manifests: Mapping[str, str] | None = None) -> None:
        record = read_record(storage.join(path, RECORD))
        if record is None:
            raise MissingStageError(
                f"{path}: is not a finished feature store; run colintern encode"
            )
        self.path = path
        self.manifests = dict(manifests or {})
        sizes = recorded_sizes(record)
        self.pages = self._opened(PAGES, PageRow, sizes)
        self.queries = self._opened(QUERIES, QueryRow, sizes)

    def _opened(self, part: str, row_type: type[Row], sizes: Mapping[str, int]) -> Items[Row]:
        folder = storage.join(self.path, part)
        rows, self.manifests[part] = open_manifest(folder, row_type, self.manifests.get(part))
        whole = whole_shards(self.path, part, sizes, marked_too=True)
        needed = {row.shard for row in rows}
        paths = [storage.join(folder, file) for file in needed]
        check_whole(paths, {state.path for state in whole.values()})
        return Items(rows, whole)
