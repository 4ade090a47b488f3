"""The canonical dataset folder: `corpus/`, `queries/` and `qrels/`, each of parquet files.

This is the layout of the ViDoRe v2 benchmark (configs `corpus`, `queries`, `qrels`). Ids are
strings inside ColIntern whatever their type in the files; a page is relevant to a query when its
score is at least 1. Images stay bytes until the moment they are encoded.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.core import url_to_fs

from colintern import storage
from colintern.errors import DatasetError

_PAGES_PER_FILE = 2_000
_PAGES_PER_ROW_GROUP = 64  # a page is then read without reading thousands of others
_IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@dataclass(frozen=True)
class Page:
    """One page image (encoded, as PNG or JPEG) of the corpus."""

    page_id: str
    image: bytes
    doc_id: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class Query:
    """One text query."""

    query_id: str
    text: str
    language: str | None = None
    source: str | None = None


@dataclass(frozen=True)
class Judgement:
    """How relevant one page is to one query; 0 is not relevant."""

    query_id: str
    page_id: str
    score: int


@dataclass(frozen=True)
class PageLocation:
    """Where in the corpus a page's image bytes stand."""

    file: str
    row_group: int
    row: int


class CanonicalDataset:
    """A canonical dataset folder, opened for reading; nothing but file lists is read at first.

    Raises:
        DatasetError: the folder, or one of its three parts, is missing.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.corpus_files = self._files("corpus")
        self.query_files = self._files("queries")
        self.qrels_files = self._files("qrels")

    def _files(self, part: str) -> list[str]:
        folder = storage.join(self.path, part)
        files = storage.list_files(folder, ".parquet")
        if not files:
            raise DatasetError(
                f"{folder}: no parquet files; a dataset folder has corpus/, queries/ and qrels/ "
                "with parquet files in each"
            )
        return files

    def content_hash(self) -> str:
        """A hash of what the dataset holds, without reading its images.

        It covers the footer of every parquet file: rows, sizes and column statistics.
        """
        footers = []
        for file in [*self.corpus_files, *self.query_files, *self.qrels_files]:
            size = storage.size_of(file)
            tail = storage.read_bytes(file, max(0, size - 8), size)
            footer_bytes = int.from_bytes(tail[:4], "little") + 8
            footer = storage.read_bytes(file, max(0, size - footer_bytes), size)
            footers.append(f"{file.removeprefix(self.path)} {storage.sha256_of_bytes(footer)}")
        return storage.sha256_of_bytes("\n".join(footers).encode())

    def queries(self) -> list[Query]:
        """All queries with a text, sorted by id."""
        table = _read_parts(self.query_files, ["query-id", "query"], ["language", "source"])
        queries = [
            Query(str(row["query-id"]), row["query"], row.get("language"), row.get("source"))
            for row in table
            if row["query"]
        ]
        return sorted(queries, key=lambda query: query.query_id)

    def judgements(self) -> dict[str, dict[str, int]]:
        """Query id to page id to score, for scores of at least 1.

        Raises:
            DatasetError: no page is judged relevant to any query.
        """
        relevant: dict[str, dict[str, int]] = {}
        for row in _read_parts(self.qrels_files, ["query-id", "corpus-id", "score"], []):
            if row["score"] >= 1:
                pages = relevant.setdefault(str(row["query-id"]), {})
                pages[str(row["corpus-id"])] = int(row["score"])
        if not relevant:
            raise DatasetError(
                f"{self.path}/qrels: no page is judged relevant to any query; "
                "training and evaluation need rows with score >= 1"
            )
        return relevant

    def page_ids(self) -> list[str]:
        """All page ids, sorted; no image is read."""
        rows = _read_parts(self.corpus_files, ["corpus-id"], [])
        return sorted({str(row["corpus-id"]) for row in rows})


def iterate_pages(
    file: str, row_groups: Sequence[int] | None = None
) -> Iterator[tuple[PageLocation, Page]]:
    """Every page of one corpus file, or of some of its row groups, with its location."""
    with open_parquet(file, ["corpus-id", "image"]) as parquet:
        columns = _present(parquet, ["corpus-id", "image"], ["doc-id"])
        for group in range(parquet.num_row_groups) if row_groups is None else row_groups:
            rows = parquet.read_row_group(group, columns=columns).to_pylist()
            for index, row in enumerate(rows):
                yield PageLocation(file, group, index), _page_from(row)


def read_images(locations: Sequence[PageLocation]) -> list[bytes]:
    """The image bytes at `locations`, in their order; each row group is read once."""
    wanted: dict[tuple[str, int], list[int]] = {}
    for position, location in enumerate(locations):
        wanted.setdefault((location.file, location.row_group), []).append(position)
    images = [b""] * len(locations)
    for (file, group), positions in wanted.items():
        with open_parquet(file, ["image"]) as parquet:
            column = parquet.read_row_group(group, columns=["image"]).column("image")
        for position in positions:
            images[position] = column[locations[position].row].as_py()["bytes"] or b""
    return images


def open_parquet(file: str, required: Sequence[str]) -> pq.ParquetFile:
    """Open a parquet file on any storage and check its columns.

    Raises:
        DatasetError: it is not parquet, or lacks a required column.
    """
    try:
        parquet = pq.ParquetFile(file) if storage.is_local(file) else _open_remote(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise DatasetError(f"{file}: is not a readable parquet file ({error})") from error
    names = parquet.schema_arrow.names
    for column in required:
        if column not in names:
            raise DatasetError(
                f"{file}: lacks the column '{column}' (it has: {', '.join(names)}); "
                "see README, 'Your own data', for the layout"
            )
    return parquet


def write_dataset(
    folder: str,
    pages: Iterable[Page],
    queries: Sequence[Query],
    judgements: Sequence[Judgement],
    details: dict[str, Any] | None = None,
) -> None:
    """Write a canonical dataset folder; `details`, if given, last, as `dataset.json`.

    Pages are written in the order given, `_PAGES_PER_FILE` to a file: give them sorted by id, so
    that neighbours in the shard plan are neighbours on storage.
    """
    for number, chunk in enumerate(_chunks(pages, _PAGES_PER_FILE)):
        path = storage.join(folder, "corpus", f"part-{number:05d}.parquet")
        storage.write_bytes(path, _parquet_bytes(_corpus_table(chunk)))
    storage.write_bytes(
        storage.join(folder, "queries", "part-00000.parquet"), _parquet_bytes(_query_table(queries))
    )
    storage.write_bytes(
        storage.join(folder, "qrels", "part-00000.parquet"),
        _parquet_bytes(_qrels_table(judgements)),
    )
    if details is not None:
        storage.write_json(storage.join(folder, "dataset.json"), details)


def _corpus_table(pages: Sequence[Page]) -> pa.Table:
    images = [{"bytes": page.image, "path": None} for page in pages]
    return pa.table(
        {
            "corpus-id": pa.array([page.page_id for page in pages], pa.string()),
            "image": pa.array(images, _IMAGE_TYPE),
            "doc-id": pa.array([page.doc_id for page in pages], pa.string()),
            "text": pa.array([page.text for page in pages], pa.string()),
        }
    )


def _query_table(queries: Sequence[Query]) -> pa.Table:
    return pa.table(
        {
            "query-id": pa.array([query.query_id for query in queries], pa.string()),
            "query": pa.array([query.text for query in queries], pa.string()),
            "language": pa.array([query.language for query in queries], pa.string()),
            "source": pa.array([query.source for query in queries], pa.string()),
        }
    )


def _qrels_table(judgements: Sequence[Judgement]) -> pa.Table:
    return pa.table(
        {
            "query-id": pa.array([judgement.query_id for judgement in judgements], pa.string()),
            "corpus-id": pa.array([judgement.page_id for judgement in judgements], pa.string()),
            "score": pa.array([judgement.score for judgement in judgements], pa.int32()),
        }
    )


def _parquet_bytes(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    # Images are compressed already; a second compression costs time and saves nothing.
    compression = "none" if "image" in table.column_names else "zstd"
    pq.write_table(table, buffer, row_group_size=_PAGES_PER_ROW_GROUP, compression=compression)
    return buffer.getvalue()


def _read_parts(
    files: Sequence[str], required: Sequence[str], optional: Sequence[str]
) -> Iterator[dict[str, Any]]:
    for file in files:
        with open_parquet(file, required) as parquet:
            columns = _present(parquet, required, optional)
            for batch in parquet.iter_batches(columns=columns):
                yield from batch.to_pylist()


def _present(
    parquet: pq.ParquetFile, required: Sequence[str], optional: Sequence[str]
) -> list[str]:
    """The columns to read: all required ones and those optional ones that are there."""
    names = set(parquet.schema_arrow.names)
    return [*required, *(column for column in optional if column in names)]


def _page_from(row: dict[str, Any]) -> Page:
    image = row["image"] or {}
    doc_id = row.get("doc-id")
    return Page(
        page_id=str(row["corpus-id"]),
        image=image.get("bytes") or b"",
        doc_id=None if doc_id is None else str(doc_id),
    )


def _open_remote(file: str) -> pq.ParquetFile:
    file_system, inner = url_to_fs(file)
    return pq.ParquetFile(file_system.open(inner, "rb"))


def _chunks(items: Iterable[Page], size: int) -> Iterator[list[Page]]:
    chunk: list[Page] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
