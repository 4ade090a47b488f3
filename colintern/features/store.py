"""A feature store, opened for reading: pages and queries by their position in a manifest.

Layout: `{root}/{dataset}-{8 hex}/record.json`, `pages/` and `queries/`, each with immutable
`shard-*.safetensors`, immutable manifests and a copy of the newest one, `manifest.parquet`.
"""

import resource
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from colintern import storage
from colintern.data import columns, digests
from colintern.data.compute import pc
from colintern.errors import DatasetError, MissingStageError
from colintern.features.cache import NodeCache, node_cache
from colintern.features.codec import StoredTokens
from colintern.features.damage import check_whole, damaged, recorded_sizes, whole_shards
from colintern.features.manifest import Manifest, is_manifest, open_manifest
from colintern.features.remote import read_headers, read_items
from colintern.features.shard_file import ShardFile
from colintern.records import Output, Record, fingerprint, read_record
from colintern.storage import FileState

RECORD = "record.json"
PAGES = "pages"
QUERIES = "queries"
BAD_PAGES = "bad_pages.jsonl"
BAD_QUERIES = "bad_queries.jsonl"
CORPUS_HASHES = "corpus_hashes.json"  # remembered; nothing but time depends on it
_MOST_OPEN_SHARDS = 512  # headers take memory, about 100 kB each
# An open shard of a local store takes a file descriptor. A process has a few stores open, each with
# pages and queries, and needs descriptors for other things too, so that one may take this share.
_SHARE_OF_DESCRIPTORS = 1 / 8


def store_path(root: str, dataset_name: str, identity: Mapping[str, Any]) -> str:
    """Where the store of a dataset stands, for all that its features depend on."""
    return storage.join(root, f"{dataset_name}-{fingerprint(identity)[:8]}")


def manifests_of(record: Record) -> dict[str, Output]:
    """`pages` and `queries` to the manifest that a record of a store, or of a run, names."""
    parts = ((output.path.partition("/"), output) for output in record.outputs)
    return {part: output for (part, _, file), output in parts if is_manifest(file)}


class Items:
    """The pages or the queries of a store, in the order of their manifest: sorted by id.

    A position is the index of an item in that order. Few shards are open at a time: the one that
    was not read for longest is closed first. Threads may share it; a copy in another process has no
    shard open.

    Args:
        manifest: what the items are, and where.
        shards: file name to how it looks, of the shards that are whole.
        most_open: how many shards may be open; None goes by what the process may open.
        cache: what keeps parts of a store that is not on this machine.
    """

    def __init__(
        self,
        manifest: Manifest,
        shards: Mapping[str, FileState],
        most_open: int | None = None,
        cache: NodeCache | None = None,
    ) -> None:
        self._manifest = manifest
        self._files = shards
        self._most_open = most_open or _most_open_shards()
        self._cache = cache
        self._open: dict[int, ShardFile] = {}
        self._opening = threading.Lock()  # held while `_open` changes

    def __reduce__(self) -> tuple[type["Items"], tuple[object, ...]]:
        return Items, (self._manifest, self._files, self._most_open, self._cache)

    def __len__(self) -> int:
        return len(self._manifest)

    @property
    def ids(self) -> pa.Array:
        """All ids, sorted by code point, as Arrow text."""
        return self._manifest.ids

    @property
    def num_tokens(self) -> np.ndarray:
        """Tokens of each item: int32 [N]."""
        return self._manifest.num_tokens

    @property
    def pictures(self) -> np.ndarray:
        """What each page shows: int32 [N], equal for the same page."""
        return self._manifest.pictures

    def layout(self, position: int) -> "PageLayout":
        """The size of a page, and how it is cut into tiles."""
        width, height, rows, columns = self._manifest.layouts[position].tolist()
        return PageLayout((width, height), (rows, columns))

    @property
    def documents(self) -> np.ndarray:
        """The index of each page's document in `document_ids`: int32 [N], -1 without one."""
        return self._manifest.documents

    @property
    def document_ids(self) -> pa.StringArray:
        """The documents of the pages, each once."""
        return self._manifest.document_ids

    def find(self, ids: Sequence[str] | pa.Array | pa.ChunkedArray) -> np.ndarray:
        """The positions of items by their ids: int64, -1 for an id that is unknown."""
        is_column = isinstance(ids, pa.Array | pa.ChunkedArray)
        return columns.find(ids if is_column else pa.array(ids, self.ids.type), self.ids)

    def row(self, position: int) -> "ItemRow":
        """All that is known of one item."""
        manifest = self._manifest
        document = manifest.documents[position]
        return ItemRow(
            id=manifest.ids[position].as_py(),
            sha256=manifest.hashes[position].tobytes().hex(),
            shard=manifest.shards[manifest.shard[position]],
            num_tokens=int(manifest.num_tokens[position]),
            doc_id=None if document < 0 else manifest.document_ids[document].as_py(),
        )

    def shown_in(self, other: "Items", positions: np.ndarray) -> np.ndarray:
        """Which pages are the same page as one of another store's pages at `positions`.

        Of two stores an earlier version may have made one: pages are the same page when what they
        show or their bytes are equal, or the one's bytes are what the other shows.

        Returns:
            A boolean [N].
        """
        theirs, own = other._manifest, self._manifest
        hashes = theirs.read_picture_hashes()[positions], theirs.hashes[positions]
        wanted = digests.column_of(np.concatenate(hashes))
        own_hashes = own.read_picture_hashes(), own.hashes
        shown, equal = (pc.is_in(digests.column_of(column), wanted) for column in own_hashes)
        return pc.or_(shown, equal).to_numpy(zero_copy_only=False)

    def read(self, positions: Sequence[int] | np.ndarray) -> tuple[StoredTokens, list[int]]:
        """Features of several items, or of none, one after the other.

        Returns:
            The tokens as they are stored, on the CPU, and the number of tokens of each item.

        Raises:
            DatasetError: there are no items at all.
            DamagedShardError: they are not those that were written.
        """
        manifest, index = self._manifest, np.asarray(positions, np.int64)
        if not len(manifest.shards):
            raise DatasetError(
                f"{manifest.folder}: nothing in it has features, so that nothing can be read; see "
                "the reasons in bad_pages.jsonl and bad_queries.jsonl beside it"
            )
        if not len(index):
            return self._shard(0).nothing(), []
        assert index.min() >= 0, "an unknown item"
        lengths = manifest.num_tokens[index]
        ends = np.cumsum(lengths, dtype=np.int64)
        tokens: StoredTokens | None = None
        for at, part in self._parts(index):
            if tokens is None:
                tokens = part.room(int(ends[-1]))
            if len(part) != lengths[at]:
                file = self._state(int(manifest.shard[index[at]])).path
                damaged(file, "has another number of tokens than its manifest says")
            tokens.put(int(ends[at] - lengths[at]), part)  # its shard may be closed now
        assert tokens is not None
        return tokens, lengths.tolist()

    def _parts(self, index: np.ndarray) -> Iterator[tuple[int, StoredTokens]]:
        """The number of each of some positions, and its tokens, in the order of the shards."""
        shards = self._manifest.shard[index]
        hashes = [self._manifest.hashes[position].tobytes().hex() for position in index]
        if not storage.is_local(self._manifest.folder):
            opened = self._shards(np.unique(shards).tolist())
            wanted = [
                (self._state(shard), opened[shard], sha256)
                for shard, sha256 in zip(shards.tolist(), hashes, strict=True)
            ]
            yield from read_items(wanted, self._cache)
            return
        for shard in np.unique(shards):  # one after the other: each open one has a descriptor
            mine = np.flatnonzero(shards == shard).tolist()
            found = self._shard(int(shard)).read([hashes[at] for at in mine])
            yield from zip(mine, found, strict=True)

    def _state(self, shard: int) -> FileState:
        """How a shard looked when the store was opened, by its index in the manifest."""
        return self._files[self._manifest.shards[shard]]

    def _shard(self, shard: int) -> ShardFile:
        """A shard by its index in the manifest, opened."""
        return self._shards([shard])[shard]

    def _shards(self, shards: Sequence[int]) -> dict[int, ShardFile]:
        """Shards by their indexes; of those that are open they become the last."""
        with self._opening:
            found = {shard: self._open.pop(shard) for shard in shards if shard in self._open}
            states = {shard: self._state(shard) for shard in shards if shard not in found}
            headers = read_headers(list(states.values()), self._cache)
            for (shard, state), header in zip(states.items(), headers, strict=True):
                found[shard] = ShardFile(state.path, state.size, header)
            self._open |= found
            for shard in list(self._open)[: -self._most_open]:
                del self._open[shard]
            return found


@dataclass(frozen=True)
class ItemRow:
    """One page or query: its id, the hash of its bytes, its shard's file name, its tokens."""

    id: str
    sha256: str
    shard: str
    num_tokens: int
    doc_id: str | None = None


@dataclass(frozen=True)
class PageLayout:
    """Width and height of a page in pixels, and its rows and columns of tiles."""

    size: tuple[int, int]
    tiles: tuple[int, int]


class FeatureStore:
    """A finished store, as one of its manifests tells it.

    Args:
        path: its folder.
        manifests: `pages` and `queries` to the hash of the manifest to read, as a run has recorded
            them; what is not named is read as it is now.
        page_rows: the positions of the pages that are asked for, increasing; None for all. The
            others are not kept in memory, nor are the queries, and positions count only these.
        cache_bytes: how much of it may be kept on this machine's disk (`features.cache_bytes`);
            a store that stands on a disk is never copied.

    Attributes:
        manifests: the hashes of those that were read.
        cache_bytes: as given.

    Raises:
        MissingStageError: the store has no record, that is, encoding has not finished, or has no
            such manifest.
        DamagedShardError: a shard that the manifest names is gone, or not whole.
    """

    def __init__(
        self,
        path: str,
        manifests: Mapping[str, str] | None = None,
        page_rows: np.ndarray | None = None,
        cache_bytes: int = 0,
    ) -> None:
        record = read_record(storage.join(path, RECORD))
        if record is None:
            raise MissingStageError(
                f"{path}: is not a finished feature store; run colintern encode"
            )
        self.path = path
        self.manifests = dict(manifests or {})
        self.cache_bytes = cache_bytes
        sizes = recorded_sizes(record)
        self.pages = self._opened(PAGES, sizes, page_rows)
        no_rows = None if page_rows is None else np.empty(0, np.int64)
        self.queries = self._opened(QUERIES, sizes, no_rows)

    def _opened(self, part: str, sizes: Mapping[str, int], rows: np.ndarray | None) -> Items:
        folder = storage.join(self.path, part)
        manifest = open_manifest(folder, self.manifests.get(part), rows)
        self.manifests[part] = manifest.sha256
        whole = whole_shards(self.path, part, sizes, marked_too=True)
        paths = [storage.join(folder, file) for file in manifest.shards]
        check_whole(paths, {state.path for state in whole.values()})
        cache = None if storage.is_local(self.path) else node_cache(self.cache_bytes)
        return Items(manifest, whole, cache=cache)


def _most_open_shards() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MOST_OPEN_SHARDS
    return min(_MOST_OPEN_SHARDS, max(1, int(soft * _SHARE_OF_DESCRIPTORS)))
