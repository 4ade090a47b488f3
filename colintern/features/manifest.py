"""The table of a store's pages or queries: which item stands in which shard.

A manifest never changes: its name holds its hash. `manifest.parquet` is a copy of the newest one,
for people and for what begins anew; stores of an earlier version had only that.
"""

import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from colintern import storage
from colintern.errors import MissingStageError
from colintern.images.pixels import picture_of

MANIFEST = "manifest.parquet"


@dataclass(frozen=True)
class QueryRow:
    """One query: its id, the SHA-256 of its text, its shard's file name, its number of tokens."""

    id: str
    sha256: str
    shard: str
    num_tokens: int


@dataclass(frozen=True)
class PageRow(QueryRow):
    """One page: as a query's row, by the hash of its image bytes, and how it was tiled.

    `pixels_sha256` is the hash of what it shows (`images.pixels`); None when it stands in a shard
    of an earlier version, which did not note it.
    """

    doc_id: str | None
    width: int
    height: int
    tile_rows: int
    tile_columns: int
    pixels_sha256: str | None = None

    @property
    def picture(self) -> str:
        """What tells the page from all others of its store (`images.pixels.picture_of`).

        Copies in other bytes are missed in a store whose first pages an earlier version encoded.
        """
        return picture_of(self.sha256, self.pixels_sha256)

    @property
    def pictures(self) -> frozenset[str]:
        """The same where pages of two stores are compared, of which an earlier version made one.

        Two are the same page when they have one of these in common.
        """
        return frozenset({self.picture, self.sha256})


Row = TypeVar("Row", bound=QueryRow)

_STRINGS = ("id", "sha256", "shard", "doc_id", "pixels_sha256")
_LATER = ("pixels_sha256",)


def manifest_file(sha256: str) -> str:
    """The name of the manifest with this hash."""
    return f"manifest-{sha256[:16]}.parquet"


def is_manifest(file: str) -> bool:
    """Whether a file of a store's `pages` or `queries` is a manifest, by its name."""
    return file.startswith("manifest") and file.endswith(".parquet")


def add_manifest(folder: str, rows: Iterable[QueryRow], row_type: type[QueryRow]) -> str:
    """Make `rows` the newest manifest of a folder of shards; all earlier ones stay readable.

    Returns:
        The name of its own.
    """
    newest, data = storage.join(folder, MANIFEST), manifest_bytes(rows, row_type)
    if storage.exists(newest):
        _keep(folder, storage.read_bytes(newest))
    file = _keep(folder, data)
    storage.write_bytes(newest, data)
    return file


def has_manifest(folder: str, sha256: str) -> bool:
    """Whether the manifest with this hash is there, undamaged."""
    return _find(folder, sha256) is not None


def open_manifest(folder: str, row_type: type[Row], sha256: str | None) -> tuple[list[Row], str]:
    """The rows of a manifest, sorted by id, and its hash.

    Args:
        folder: a store's `pages` or `queries`.
        row_type: what its rows are.
        sha256: of the manifest; None takes the newest.

    Raises:
        MissingStageError: there is no manifest with this hash.
    """
    if sha256 is None:
        data = storage.read_bytes(storage.join(folder, MANIFEST))
        return _rows(data, row_type), storage.sha256_of_bytes(data)
    data = _find(folder, sha256)
    if data is None:
        raise MissingStageError(
            f"{storage.join(folder, manifest_file(sha256))}: this run works from it; it is gone "
            "or damaged; run the same command again, which makes it anew"
        )
    return _rows(data, row_type), sha256


def num_rows(path: str) -> int:
    """How many rows a manifest has."""
    return pq.read_metadata(io.BytesIO(storage.read_bytes(path))).num_rows


def manifest_bytes(rows: Iterable[QueryRow], row_type: type[QueryRow]) -> bytes:
    """`rows`, sorted by id, as parquet; the same rows give the same bytes.

    A column that came later is left out where no row has it: so what an earlier version wrote is
    written again alike.
    """
    ordered = [asdict(row) for row in sorted(rows, key=lambda row: row.id)]
    columns = [field.name for field in fields(row_type)]
    columns = [name for name in columns if name not in _LATER or any(row[name] for row in ordered)]
    schema = pa.schema(
        [(name, pa.string() if name in _STRINGS else pa.int32()) for name in columns]
    )
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ordered, schema), buffer, compression="zstd")
    return buffer.getvalue()


def _keep(folder: str, data: bytes) -> str:
    """Store a manifest under its own name, which is returned."""
    file = manifest_file(storage.sha256_of_bytes(data))
    storage.write_bytes(storage.join(folder, file), data)
    return file


def _find(folder: str, sha256: str) -> bytes | None:
    """The manifest with this hash; None where there is none."""
    for file in (manifest_file(sha256), MANIFEST):  # an earlier version wrote only the second
        path = storage.join(folder, file)
        if storage.exists(path):
            data = storage.read_bytes(path)
            if storage.sha256_of_bytes(data) == sha256:
                return data
    return None


def _rows(data: bytes, row_type: type[Row]) -> list[Row]:
    table = pq.read_table(io.BytesIO(data))
    return [row_type(**row) for row in table.to_pylist()]
