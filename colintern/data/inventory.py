"""What stands in a corpus: id, hash, size and location of every page, without decoding any.

It is read one row group at a time, by many processes, as Arrow tables; together they are an
`Inventory`, in columns. Shapes: N pages.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa

from colintern import storage
from colintern.data import digests
from colintern.data.canonical import PageLocation, iterate_pages
from colintern.data.columns import joined
from colintern.data.compute import pc
from colintern.data.parquet import open_parquet
from colintern.images.decode import BadImageError, ImageSize, read_size

_FOOTERS_AT_ONCE = 8  # an object store answers each in tens of milliseconds
_SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "sha256": pa.binary(digests.NUM_BYTES),
        "pixels_sha256": pa.binary(digests.NUM_BYTES),
        "doc_id": pa.string(),
        "width": pa.int32(),
        "height": pa.int32(),
        "reason": pa.string(),
    }
)


@dataclass(frozen=True)
class Inventory:
    """Pages of a corpus, sorted by id by code point, in columns of N rows.

    Rows with the same id stand in the order of the corpus.

    Attributes:
        ids: of the pages, as Arrow text.
        hashes: of their image bytes, uint8 [N, 32].
        pixels: the hashes of what they show, uint8 [N, 32]; zeros where the corpus tells none.
        doc_ids: their documents, as Arrow text; null where unknown.
        widths: of their images, in pixels, int32 [N]; 0 of a bad page.
        heights: the same.
        reasons: why a page cannot be used, as Arrow text; null for all others.
        origins: which row of the corpus each page is, int32 [N].
        groups: file and number of every row group of the corpus.
        starts: the row of the corpus with which each row group begins, int64.
    """

    ids: pa.Array
    hashes: np.ndarray
    pixels: np.ndarray
    doc_ids: pa.Array
    widths: np.ndarray
    heights: np.ndarray
    reasons: pa.Array
    origins: np.ndarray
    groups: Sequence[tuple[str, int]]
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray) -> "Inventory":
        """Only these pages, in this order."""
        index = pa.array(rows)
        return Inventory(
            self.ids.take(index),
            self.hashes[rows],
            self.pixels[rows],
            self.doc_ids.take(index),
            self.widths[rows],
            self.heights[rows],
            self.reasons.take(index),
            self.origins[rows],
            self.groups,
            self.starts,
        )

    def location(self, row: int) -> PageLocation:
        """Where in the corpus a page stands."""
        origin = self.origins[row]
        group = int(np.searchsorted(self.starts, origin, side="right")) - 1
        return PageLocation(*self.groups[group], int(origin - self.starts[group]))

    def bad(self) -> dict[str, str]:
        """Page id to the reason, of the pages that cannot be used, in the order of the corpus."""
        rows = np.flatnonzero(pc.is_valid(self.reasons).to_numpy(zero_copy_only=False))
        rows = pa.array(rows[np.argsort(self.origins[rows])])
        ids, reasons = self.ids.take(rows), self.reasons.take(rows)
        return dict(zip(ids.to_pylist(), reasons.to_pylist(), strict=True))


def row_groups(files: Sequence[str]) -> list[tuple[str, int]]:
    """Every row group of the corpus files: the units that are read in parallel."""
    groups = []
    for file in files:
        with open_parquet(file, ["corpus-id", "image"]) as parquet:
            groups += [(file, group) for group in range(parquet.num_row_groups)]
    return groups


def row_group_sizes(files: Sequence[str]) -> list[tuple[str, int, int]]:
    """Every row group of the corpus files with its number of rows; only footers are read."""

    def of(file: str) -> list[tuple[str, int, int]]:
        with open_parquet(file, ["corpus-id", "image"]) as parquet:
            found = parquet.metadata
            return [
                (file, group, found.row_group(group).num_rows)
                for group in range(found.num_row_groups)
            ]

    with ThreadPoolExecutor(_FOOTERS_AT_ONCE) as readers:
        return list(chain.from_iterable(readers.map(of, files)))


def read_entries(file: str, row_group: int) -> pa.Table:
    """The rows of one row group, each with what `Inventory` says of it."""
    rows = []
    for _, page in iterate_pages(file, [row_group]):
        size, reason = ImageSize(0, 0), None
        try:
            size = read_size(page.image)
        except BadImageError as error:
            reason = str(error)
        digest, shown = storage.sha256_of_bytes(page.image), page.pixels_sha256
        rows.append((page.page_id, digest, shown, page.doc_id, size.width, size.height, reason))
    columns = zip(*rows, strict=True) if rows else [()] * len(_SCHEMA)
    return table_of(dict(zip(_SCHEMA.names, columns, strict=True)))


def table_of(columns: dict[str, Sequence[object]]) -> pa.Table:
    """A table as of `read_entries`, of columns in which hashes are text.

    What a corpus gives for the hash of what a page shows and is no hash, counts as none.
    """
    hashes, _ = digests.parse(pa.array(columns["sha256"], pa.string()))
    pixels, known = digests.parse(pa.array(columns["pixels_sha256"], pa.string()))
    pixels[~known] = 0
    raw = {"sha256": digests.column_of(hashes), "pixels_sha256": digests.column_of(pixels)}
    return pa.table({**columns, **raw}, schema=_SCHEMA)


def read_inventory(files: Sequence[str]) -> Inventory:
    """The inventory of a corpus, read in this process."""
    groups = row_groups(files)
    return inventory_of(groups, [read_entries(*group) for group in groups])


def inventory_of(groups: Sequence[tuple[str, int]], tables: Iterable[pa.Table]) -> Inventory:
    """The inventory of a corpus.

    Args:
        groups: its row groups.
        tables: what `read_entries` found in each; let go as their columns are put together.
    """
    found = list(tables)
    del tables
    starts = np.cumsum([0, *map(len, found)])[:-1]
    whole = pa.concat_tables([_SCHEMA.empty_table(), *found])
    columns = dict(zip(whole.column_names, whole.columns, strict=True))
    del found, whole
    order = pc.sort_indices(columns["id"]).to_numpy().astype(np.int32)  # it is stable
    rows = pa.array(order)

    def text(name: str) -> pa.Array:
        return joined(columns.pop(name).chunks).take(rows)

    def hashes(name: str) -> np.ndarray:
        found = digests.bytes_of(columns.pop(name))
        return found[order] if found.any() else np.zeros_like(found)  # which take no memory

    inventory = Inventory(
        ids=text("id"),
        hashes=hashes("sha256"),
        pixels=hashes("pixels_sha256"),
        doc_ids=text("doc_id"),
        widths=columns.pop("width").to_numpy()[order],
        heights=columns.pop("height").to_numpy()[order],
        reasons=text("reason"),
        origins=order,
        groups=groups,
        starts=starts,
    )
    pa.default_memory_pool().release_unused()  # it keeps what the tables took
    return inventory
