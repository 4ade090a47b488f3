"""A folder of vectors that `colintern embed` has written: what they are, pages, and queries.

embed.json           what the vectors are, and the hash of each part; written last
embed.begun.json     the same without the parts, as long as they are made
axes.safetensors     with --dim: `axes` [E, E]; queries are turned by them, too
part-00000.parquet   pages in the order of their ids
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from colintern import storage
from colintern.data.text import check_queries
from colintern.errors import MissingStageError, UserError, one_line
from colintern.model.backbone import FrozenBackbone
from colintern.model.heads import Heads, heads_sha256
from colintern.model.narrowing import AXES, narrowed, read_axes
from colintern.retrieval.finished import FinishedRun, open_finished
from colintern.retrieval.vector_types import Dtype, VectorType

DONE = "embed.json"
BEGUN = "embed.begun.json"

T = TypeVar("T", bound=BaseModel)

_SHA256_LETTERS = 64
QDRANT_LIMIT = 1_048_576  # numbers of a page, all its vectors together; fewer are taken


class VectorsIdentity(BaseModel):
    """What vectors are made from, and how.

    Attributes:
        run: the run folder, as it was called then.
        round: whose heads.
        dataset: its name.
        dataset_path: its folder.
        manifest_sha256: of the store's pages.
        dim: numbers of a vector.
        is_narrowed: whether vectors are turned and cut (`--dim`).
        tokens: `--tokens`; None keeps all.
        dtype: how numbers are written.
        has_boxes: whether each vector has the boxes of its tokens.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    run: str
    round: int
    heads_sha256: str
    dataset: str
    dataset_path: str
    manifest_sha256: str
    dim: int
    is_narrowed: bool
    tokens: int | None
    dtype: Dtype
    has_boxes: bool

    def differences(self, other: "VectorsIdentity") -> list[str]:
        """What makes other vectors of the two, in words; where run and dataset stand does not."""
        mine, theirs = (one.model_dump(exclude={"run", "dataset_path"}) for one in (self, other))
        names = type(self).model_fields
        return [
            f"{name}: {_brief(theirs[name])} -> {_brief(mine[name])}"
            for name in names
            if name in mine and mine[name] != theirs[name]
        ]


class PartInfo(BaseModel):
    """A file of vectors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    bytes: int
    sha256: str
    rows: int


class VectorsInfo(VectorsIdentity):
    """The content of `embed.json`.

    Attributes:
        num_pages: rows of all parts.
        num_vectors: of all pages.
        max_vectors: of the page with the most.
        axes_sha256: of the file of axes; None without `--dim`.
        parts: in the order of page ids.
    """

    num_pages: int
    num_vectors: int
    max_vectors: int
    axes_sha256: str | None
    parts: tuple[PartInfo, ...]


@dataclass(frozen=True)
class Vectors:
    """A finished folder of vectors.

    Attributes:
        folder: where it is.
        info: what it holds.
        run_path: the run whose heads made the vectors.
    """

    folder: str
    info: VectorsInfo
    run_path: str

    @property
    def files(self) -> list[str]:
        """The parts, in order."""
        return [storage.join(self.folder, part.path) for part in self.info.parts]

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns: page_id, doc_id, sha256, num_tokens, vectors, pooled; boxes if there are."""
        if not self.info.parts:  # none of the pages has features
            return VectorType(self.info.dtype, self.info.dim).schema(self.info.has_boxes)
        return next(self.batches()).schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All pages, some megabytes of them at a time."""
        for path in self.files:
            with storage.open_file(path) as file, pq.ParquetFile(file) as parquet:
                for group in range(parquet.num_row_groups):
                    yield from parquet.read_row_group(group).combine_chunks().to_batches()

    def pages(self) -> Iterator[dict[str, Any]]:
        """All pages, each as a dictionary of its columns."""
        for batch in self.batches():
            yield from batch.to_pylist()

    def embed_queries(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The vectors to find these pages with, float32 [tokens, dim] of each text.

        The run's heads make them, turned and cut as those of the pages. They do not depend on the
        texts beside them. The model is loaded with the first text.

        Raises:
            UserError: a text that cannot be asked.
            MissingStageError: the run is not where it was, or has other heads.
        """
        check_queries(texts)
        return [self._query(text) for text in texts]

    def check_fits_qdrant(self) -> None:
        """Make sure that Qdrant takes every page.

        Raises:
            UserError: a page has too many numbers.
        """
        if problem := qdrant_problem(self.info):
            raise UserError(f"{self.folder}: {problem}")

    def _query(self, text: str) -> np.ndarray:
        """The vectors of a text, as if its features came from a store."""
        (features,) = self._backbone.encode_queries([text])
        return self._heads.exact_queries(self._run.codec.encode_query(features).decoded()).numpy()

    @cached_property
    def _run(self) -> FinishedRun:
        run = open_finished(self.run_path, self.info.round)
        if heads_sha256(run.folder.heads(run.round_number)) != self.info.heads_sha256:
            raise MissingStageError(
                f"{self.run_path}: round {self.info.round} has other heads than those that made "
                f"{self.folder}; name the right run, or embed again"
            )
        return run

    @cached_property
    def _heads(self) -> Heads:
        if not self.info.is_narrowed:
            return self._run.heads
        path = storage.join(self.folder, AXES)
        if storage.sha256_of_file(path) != self.info.axes_sha256:
            raise UserError(f"{path}: is not the one that the vectors were made with; embed again")
        return narrowed(self._run.heads, read_axes(path), self.info.dim)

    @cached_property
    def _backbone(self) -> FrozenBackbone:
        return FrozenBackbone(self._run.config.backbone)


def open_vectors(folder: str, run: str | None = None) -> Vectors:
    """Open a folder that `colintern embed` has written.

    Args:
        folder: its path or URL.
        run: where the run is now; None takes it from where it was then. Only queries need it.

    Raises:
        MissingStageError: the folder is not finished, or no folder of vectors.
    """
    folder = storage.absolute(folder)
    info = read_info(folder)
    if info is None:
        raise MissingStageError(
            f"{folder}: has no {DONE}, so it is no finished folder of vectors; run: colintern embed"
        )
    return Vectors(folder, info, run or info.run)


def read_info(folder: str) -> VectorsInfo | None:
    """What stands in `embed.json`; None without one.

    Raises:
        UserError: it is damaged.
    """
    return _read(storage.join(folder, DONE), VectorsInfo)


def read_begun(folder: str) -> VectorsIdentity | None:
    """What vectors of a folder that is not finished are; None where nothing was begun."""
    return _read(storage.join(folder, BEGUN), VectorsIdentity)


def qdrant_problem(info: VectorsInfo) -> str | None:
    """Why Qdrant would refuse a page; None if it takes all."""
    if info.max_vectors * info.dim < QDRANT_LIMIT:
        return None
    most = (QDRANT_LIMIT - 1) // info.dim
    return (
        f"a page has {info.max_vectors:,} vectors of {info.dim} numbers, and Qdrant takes fewer "
        f"than {QDRANT_LIMIT:,} numbers a page; embed again with --tokens {most}, or a lower --dim"
    )


def _brief(value: object) -> str:
    text = str(value)
    return text[:8] if len(text) == _SHA256_LETTERS else text


def _read(path: str, kind: type[T]) -> T | None:
    content = storage.read_bytes_if_there(path)
    if content is None:
        return None
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise UserError(
            f"{path}: is not what this version writes ({one_line(error)}); choose another --out"
        ) from error
