"""The table of a store's pages or queries: which item stands in which shard.

A manifest never changes: its name holds its hash. `manifest.parquet` is a copy of the newest one,
for people and for runs that begin; stores of an earlier version had only that. In memory it is
columns, never an object for each item.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from colintern import storage
from colintern.data import digests
from colintern.data.columns import joined
from colintern.data.compute import pc
from colintern.errors import MissingStageError
from colintern.features import tables

MANIFEST = "manifest.parquet"
# `sha256` is the hash of the page's image bytes or of the query's text, `shard` a file name.
QUERY_SCHEMA = pa.schema(
    {"id": pa.string(), "sha256": pa.string(), "shard": pa.string(), "num_tokens": pa.int32()}
)
# `pixels_sha256` is the hash of what the page shows (`images.pixels`); null where the page stands
# in a shard of an earlier version, which did not note it.
PAGE_SCHEMA = pa.schema(
    [
        *QUERY_SCHEMA,
        ("doc_id", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("tile_rows", pa.int32()),
        ("tile_columns", pa.int32()),
        ("pixels_sha256", pa.string()),
    ]
)
EARLIER_PAGE_SCHEMA = pa.schema(list(PAGE_SCHEMA)[:-1])  # of shards of an earlier version only
_LAYOUT = ["width", "height", "tile_rows", "tile_columns"]
_CHUNK_BYTES = 2**22


@dataclass(frozen=True)
class Manifest:
    """One manifest, or some of its rows, sorted by id by code point; N rows.

    Attributes:
        sha256: the hash of the file.
        ids: of the items, each once.
        hashes: `sha256` of each row as raw bytes, uint8 [N, 32].
        num_tokens: int32 [N].
        shard: int32 [N], the index of each row's file in `shards`.
        shards: file names.
        folder: the store's `pages` or `queries`.
        rows: which rows of the file these are, int64 [N], increasing; None for all.
    """

    sha256: str
    ids: pa.Array
    hashes: np.ndarray
    num_tokens: np.ndarray
    shard: np.ndarray
    shards: tuple[str, ...]
    folder: str
    rows: np.ndarray | None

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def pictures(self) -> np.ndarray:
        """What each page shows: int32 [N], equal for the same page. Read when first asked for.

        Copies in other bytes are missed in a store whose first pages an earlier version encoded.
        """
        return digests.numbered(self.read_picture_hashes(digests.NUM_UNIQUE_BYTES))

    def read_picture_hashes(self, num_bytes: int = digests.NUM_BYTES) -> np.ndarray:
        """What each page shows, as a hash (`images.pixels.picture_of`).

        Args:
            num_bytes: how many of the hash's first bytes are given.

        Returns:
            uint8 [N, num_bytes].
        """
        found, start = self.hashes[:, :num_bytes].copy(), 0
        for batch in self._read(["pixels_sha256"]):
            pixels, valid = digests.parse(batch.column(0))
            found[start : start + len(batch)][valid] = pixels[valid, :num_bytes]
            start += len(batch)
        return found

    @cached_property
    def layouts(self) -> np.ndarray:
        """Width, height, rows and columns of tiles of each page: int32 [N, 4].

        Read when first asked for.
        """
        found, start = np.empty((len(self), len(_LAYOUT)), np.int32), 0
        for batch in self._read(_LAYOUT):
            end = start + len(batch)
            found[start:end] = np.stack([column.to_numpy() for column in batch.columns], axis=1)
            start = end
        return found

    @property
    def documents(self) -> np.ndarray:
        """The index of each page's document in `document_ids`: int32 [N], -1 without one."""
        return self._documents[0]

    @property
    def document_ids(self) -> pa.StringArray:
        """The documents of these pages, each once, in the order of first appearance."""
        return self._documents[1]

    @cached_property
    def _documents(self) -> tuple[np.ndarray, pa.StringArray]:
        chunks = [batch.column(0).dictionary_encode() for batch in self._read(["doc_id"])]
        if not chunks:
            return np.full(len(self), -1, np.int32), pa.array([], pa.string())
        found = pa.chunked_array(chunks).combine_chunks()
        codes = pc.fill_null(found.indices, -1).to_numpy(zero_copy_only=False)
        return codes, found.dictionary

    def _read(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Further columns of these rows, a batch in memory at a time; nothing if it has none."""
        with _opened(self.folder, self.sha256) as (file, _), tables.parquet(file) as parquet:
            if set(columns) <= set(parquet.schema_arrow.names):
                yield from tables.batches(parquet, columns, self.rows)
        pa.default_memory_pool().release_unused()


def open_manifest(folder: str, sha256: str | None, rows: np.ndarray | None = None) -> Manifest:
    """A manifest in columns; memory is bounded by what is kept.

    Args:
        folder: a store's `pages` or `queries`.
        sha256: of the manifest; None takes the newest.
        rows: which rows of it to keep, increasing; None keeps all.

    Raises:
        MissingStageError: there is no manifest with this hash, or it has an item without its own.
    """
    with _opened(folder, sha256) as (file, found), tables.parquet(file) as parquet:
        ids = joined([batch["id"] for batch in tables.batches(parquet, ["id"], rows)])
        pa.default_memory_pool().release_unused()  # of the parts, before more is read
        num_rows = len(ids)
        hashes = np.empty((num_rows, digests.NUM_BYTES), np.uint8)
        num_tokens, shard = np.empty(num_rows, np.int32), np.empty(num_rows, np.int32)
        shards: dict[str, int] = {}
        start = 0
        for batch in tables.batches(parquet, ["sha256", "shard", "num_tokens"], rows):
            end = start + len(batch)
            hashes[start:end], valid = digests.parse(batch["sha256"])
            if not valid.all():
                row = start + int(np.argmin(valid))
                name = MANIFEST if sha256 is None else manifest_file(found)
                raise MissingStageError(
                    f"{storage.join(folder, name)}: row {row:,} has no SHA-256; "
                    "run the same command again, to make it again"
                )
            num_tokens[start:end] = batch["num_tokens"].to_numpy()
            shard[start:end] = tables.numbered(shards, batch["shard"])
            start = end
    pa.default_memory_pool().release_unused()
    return Manifest(found, ids, hashes, num_tokens, shard, tuple(shards), folder, rows)


def manifest_file(sha256: str) -> str:
    """The name of the manifest with this hash."""
    return f"manifest-{sha256[:16]}.parquet"


def is_manifest(file: str) -> bool:
    """Whether a file of a store's `pages` or `queries` is a manifest, by its name."""
    return file.startswith("manifest") and file.endswith(".parquet")


def add_manifest(
    folder: str, schema: pa.Schema, num_rows: int, rows: Callable[[int, int], pa.Table]
) -> str:
    """Write the newest manifest of a folder of shards; all earlier ones stay readable.

    Args:
        folder: a store's `pages` or `queries`.
        schema: `PAGE_SCHEMA`, or `EARLIER_PAGE_SCHEMA` where no page has `pixels_sha256`: so what
            an earlier version wrote is written again alike; or `QUERY_SCHEMA`.
        num_rows: how many rows it has.
        rows: makes its rows from a first one up to a last one; they are sorted by id.

    Returns:
        The name of its own.
    """
    newest = storage.join(folder, MANIFEST)
    with ExitStack() as stack:
        if storage.exists(newest):
            _keep(folder, *_hashed(newest, stack))
        file = stack.enter_context(tempfile.TemporaryFile())
        tables.write_table(file, schema, num_rows, rows)
        own = _keep(folder, file, _sha256_of(file))
        _copy(file, newest)
    return own


def has_manifest(folder: str, sha256: str) -> bool:
    """Whether the manifest with this hash is there, undamaged."""
    with ExitStack() as stack:
        return _find(folder, sha256, stack) is not None


def num_rows(path: str) -> int:
    """How many rows a manifest has."""
    with storage.open_file(path) as file, tables.parquet(file) as parquet:
        return parquet.metadata.num_rows


def _keep(folder: str, file: BinaryIO, sha256: str) -> str:
    """Store a manifest under its own name, which is returned."""
    name = manifest_file(sha256)
    _copy(file, storage.join(folder, name))
    return name


def _copy(file: BinaryIO, path: str) -> None:
    file.seek(0)
    with storage.writing(path) as copy:
        shutil.copyfileobj(file, copy, _CHUNK_BYTES)


@contextmanager
def _opened(folder: str, sha256: str | None) -> Iterator[tuple[BinaryIO, str]]:
    """The file of a manifest, and its hash; None opens the newest.

    Raises:
        MissingStageError: there is no manifest with this hash.
    """
    with ExitStack() as stack:
        if sha256 is None:
            yield _hashed(storage.join(folder, MANIFEST), stack)
            return
        file = _find(folder, sha256, stack)
        if file is None:
            raise MissingStageError(
                f"{storage.join(folder, manifest_file(sha256))}: this run needs it; it is "
                "missing or damaged; run the same command again, to make it again"
            )
        yield file, sha256


def _find(folder: str, sha256: str, stack: ExitStack) -> BinaryIO | None:
    """The manifest with this hash, opened until `stack` ends; None where there is none."""
    for name in (manifest_file(sha256), MANIFEST):  # an earlier version wrote only the second
        path = storage.join(folder, name)
        if storage.exists(path):
            file, found = _hashed(path, stack)
            if found == sha256:
                return file
    return None


def _hashed(path: str, stack: ExitStack) -> tuple[BinaryIO, str]:
    """A file, opened until `stack` ends, and the hash of the very bytes that it gives."""
    file = stack.enter_context(tables.opened(path))
    with storage.named_errors(path):
        return file, _sha256_of(file)


def _sha256_of(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()
