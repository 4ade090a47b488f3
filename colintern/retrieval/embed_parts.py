"""The files of `colintern embed`: which pages each has, and how a worker writes one.

Workers import this, and need no backbone: transformers would take seconds, and 200 MB of each.
Shapes: K vectors of a page, N numbers of each.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from colintern import storage
from colintern.features.store import FeatureStore
from colintern.model.boxes import is_on_page, token_boxes
from colintern.model.heads import load_heads
from colintern.model.narrowing import narrowed, read_axes
from colintern.retrieval.page_tokens import PageTokens
from colintern.retrieval.vector_types import BOX, VectorType
from colintern.runtime.parts import Part
from colintern.search.embedding import embedded
from colintern.search.pooled_index import pool
from colintern.streams import packed

# What a file holds at most: it is written, or written again, in some minutes, clustering included.
_PART_BYTES = 256 * 2**20
_PART_TOKENS = 2**20  # that are read; 585 A4 pages of 1,792
_ROW_GROUP_BYTES = 8 * 2**20  # what a reader has in memory, several times over as Python's numbers
_OTHER_BYTES = 256  # of a row: ids and a hash
_FLOAT_BYTES = 4


@dataclass(frozen=True)
class Boxes:
    """What the boxes of tokens follow from, besides the page's own layout.

    Attributes:
        tile_tokens: rows and columns of tokens in one tile.
        merge: `features.merge`.
        padded_tile: see `token_boxes`.
    """

    tile_tokens: tuple[int, int]
    merge: int
    padded_tile: tuple[int, int] | None


@dataclass(frozen=True)
class Embedding:
    """How pages become rows; small, and can be sent to workers (see `runtime.parts.OpenMaker`).

    Attributes:
        store: the path of the feature store.
        manifests: which manifests of it are read.
        cache_bytes: how much of a remote store each machine may keep.
        heads_folder: the heads.
        axes: the file of axes, with `--dim`.
        type: of the vectors.
        tokens: K, `--tokens`; None keeps all.
        boxes: with what boxes are found; None writes none.
    """

    store: str
    manifests: Mapping[str, str]
    cache_bytes: int
    heads_folder: str
    axes: str | None
    type: VectorType
    tokens: int | None
    boxes: Boxes | None

    def __call__(self, device: str) -> "PartWriter":
        """A worker's own."""
        return PartWriter(self, device)

    @property
    def schema(self) -> pa.Schema:
        """The columns that are written."""
        return self.type.schema(self.boxes is not None)

    def num_vectors(self, num_tokens: np.ndarray) -> np.ndarray:
        """Vectors of pages with so many tokens."""
        return num_tokens if self.tokens is None else np.minimum(num_tokens, self.tokens)

    def row_bytes(self, num_tokens: np.ndarray) -> np.ndarray:
        """About how many bytes the rows of pages take, int64."""
        vectors = self.num_vectors(num_tokens).astype(np.int64) * self.type.num_bytes
        boxes = num_tokens.astype(np.int64) * 4 * _FLOAT_BYTES if self.boxes else 0
        return vectors + boxes + self.type.dim * _FLOAT_BYTES + _OTHER_BYTES


def plan_parts(embedding: Embedding, num_tokens: np.ndarray, folder: str) -> list[Part]:
    """The parts of a corpus: as many pages, in order, as fill a file; the same on any machines.

    Args:
        embedding: how pages become rows.
        num_tokens: of each page, in the order of the manifest.
        folder: where the files go.
    """
    shares = embedding.row_bytes(num_tokens) / _PART_BYTES, num_tokens / _PART_TOKENS
    share_D = np.maximum(*shares)
    runs = packed(range(len(share_D)), lambda row: float(share_D[row]), 1.0)
    return [
        Part(storage.join(folder, f"part-{number:05d}.parquet"), len(rows), (rows[0], rows[-1] + 1))
        for number, rows in enumerate(runs)
    ]


@dataclass(frozen=True)
class _Page:
    """The vectors of a page, float32 [K, N] on the CPU, and the boxes of each."""

    vector_KN: Tensor
    boxes: Sequence[np.ndarray]


class PartWriter:
    """Writes parts, a row group in memory at a time.

    Args:
        embedding: how pages become rows.
        device: where features are projected.
    """

    def __init__(self, embedding: Embedding, device: str) -> None:
        self._embedding, self._device = embedding, device
        store = FeatureStore(
            embedding.store, embedding.manifests, cache_bytes=embedding.cache_bytes
        )
        self._pages = store.pages
        heads, _ = load_heads(embedding.heads_folder)
        if embedding.axes is not None:
            heads = narrowed(heads, read_axes(embedding.axes), embedding.type.dim)
        self._project = copy.deepcopy(heads).to(device).exact_pages

    def __call__(self, part: Part) -> None:
        """Write the file of a part, whose task is its first page and the one after its last."""
        embedding, (start, end) = self._embedding, part.task
        sizes = embedding.row_bytes(self._pages.num_tokens[start:end])
        groups = packed(range(start, end), lambda page: int(sizes[page - start]), _ROW_GROUP_BYTES)
        with (
            storage.writing(part.path) as file,
            pq.ParquetWriter(
                file,
                embedding.schema,
                compression="zstd",
                use_dictionary=["doc_id"],  # pyright: ignore[reportArgumentType]
            ) as writer,
        ):
            for group in groups:
                table = self._table(np.array(group, np.int64))
                with storage.named_errors(part.path):
                    writer.write_table(table, row_group_size=len(group))

    def _table(self, positions: np.ndarray) -> pa.Table:
        """The rows of some pages."""
        rows = [self._pages.row(position) for position in positions.tolist()]
        pages = self._read(positions)
        lengths = [len(page.vector_KN) for page in pages]
        vector_TN = torch.cat([page.vector_KN for page in pages])
        columns = [
            pa.array([row.id for row in rows], pa.string()),
            pa.array([row.doc_id for row in rows], pa.string()),
            pa.array([row.sha256 for row in rows], pa.string()),
            pa.array(lengths, pa.int32()),
            _lists(self._embedding.type.written(vector_TN), lengths),
            VectorType("float32", self._embedding.type.dim).written(pool(vector_TN, lengths)),
        ]
        if self._embedding.boxes:
            of_vectors = [boxes for page in pages for boxes in page.boxes]
            values = pa.array(np.concatenate(of_vectors).ravel(), pa.float32())
            boxes = pa.FixedSizeListArray.from_arrays(values, type=BOX)
            columns.append(_lists(_lists(boxes, [len(own) for own in of_vectors]), lengths))
        return pa.Table.from_arrays(columns, schema=self._embedding.schema)

    def _read(self, positions: np.ndarray) -> list[_Page]:
        pages = []
        batches = embedded(self._pages, positions, self._project, self._device)
        for first, token_TN, lengths in batches:
            own = positions[first : first + len(lengths)].tolist()
            for position, token_PN in zip(own, token_TN.cpu().split(lengths), strict=True):
                pages.append(self._page(position, token_PN))
        return pages

    def _page(self, position: int, token_PN: Tensor) -> _Page:
        """The vectors of a page, of which no more are left than are wanted."""
        vector_KN, cluster_P = PageTokens(token_PN).at_most(self._embedding.tokens)
        return _Page(vector_KN, self._boxes(position, cluster_P))

    def _boxes(self, position: int, cluster_P: np.ndarray) -> list[np.ndarray]:
        """The boxes [M, 4] of each cluster's tokens, but those of thumbnail and padding."""
        known = self._embedding.boxes
        if known is None:
            return []
        layout = self._pages.layout(position)
        tiling = layout.size, layout.tiles, known.tile_tokens, known.merge, known.padded_tile
        box_P4, is_thumbnail_P = token_boxes(*tiling)
        assert len(box_P4) == len(cluster_P), "a page of another number of tokens than its layout"
        order = np.argsort(cluster_P, kind="stable")
        ends = np.cumsum(np.bincount(cluster_P))[:-1]
        is_shown_P = ~is_thumbnail_P & is_on_page(box_P4)
        return [box_P4[own[is_shown_P[own]]] for own in np.split(order, ends)]


def _lists(values: pa.Array, lengths: Sequence[int]) -> pa.ListArray:
    """Lists of so many values each, one after the other."""
    offsets = np.cumsum([0, *lengths]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values)
