"""Writing canonical dataset folders, page by page, with little in memory."""

import io
from collections.abc import Callable, Iterable, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from colintern import storage
from colintern.data.canonical import PIXELS
from colintern.data.entities import Judgement, Page, Query

_PAGES_PER_FILE = 2_000
_BYTES_PER_FILE = 128 * 2**20  # writing takes about four times as much memory
# Small, so that reading one page does not read thousands of others or a gigabyte.
_PAGES_PER_ROW_GROUP = 64
_BYTES_PER_ROW_GROUP = 64 * 2**20
IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def unchecked() -> None:
    """The check before a write that nothing forbids; a named function, as workers unpickle it."""


class CorpusWriter:
    """Writes pages to numbered files under `corpus/`; a file is written when it is full.

    Give pages sorted by id: neighbours in the shard plan are then neighbours on storage.

    Args:
        folder: of the dataset.
        check: called before a file is written; raises when it must not be.
    """

    def __init__(self, folder: str, check: Callable[[], None] = unchecked) -> None:
        self.num_pages = 0
        self._check = check
        self._folder = folder
        self._waiting: list[Page] = []
        self._waiting_bytes = 0
        self._num_files = 0

    def add(self, page: Page) -> None:
        """Add one page."""
        self._waiting.append(page)
        self._waiting_bytes += len(page.image)
        self.num_pages += 1
        if len(self._waiting) == _PAGES_PER_FILE or self._waiting_bytes >= _BYTES_PER_FILE:
            self.flush()

    def flush(self) -> None:
        """Write the waiting pages; call it at the end too: a corpus has at least one file."""
        if self._waiting or not self._num_files:
            self._check()
            path = storage.join(self._folder, "corpus", f"part-{self._num_files:05d}.parquet")
            table = corpus_table(self._waiting)
            if any(page.pixels_sha256 for page in self._waiting):
                table = with_pixels(table, self._waiting)
            storage.write_bytes(path, parquet_bytes(table))
            self._num_files += 1
            self._waiting, self._waiting_bytes = [], 0


def write_dataset(
    folder: str,
    pages: Iterable[Page],
    queries: Sequence[Query],
    judgements: Sequence[Judgement],
) -> None:
    """Write a canonical dataset folder."""
    writer = CorpusWriter(folder)
    for page in pages:
        writer.add(page)
    writer.flush()
    write_questions(folder, queries, judgements)


def write_questions(folder: str, queries: Sequence[Query], judgements: Sequence[Judgement]) -> None:
    """Write `queries/` and `qrels/` of a canonical dataset folder."""
    write_queries(folder, queries)
    write_qrels(folder, judgements)


def write_queries(folder: str, queries: Sequence[Query], number: int = 0) -> str:
    """Write the file of `queries/` that has this number; returns its path."""
    return _write_table(folder, "queries", _query_table(queries), number)


def write_qrels(folder: str, judgements: Sequence[Judgement], number: int = 0) -> str:
    """Write the file of `qrels/` that has this number; returns its path."""
    return _write_table(folder, "qrels", _qrels_table(judgements), number)


def _write_table(folder: str, part: str, table: pa.Table, number: int) -> str:
    path = storage.join(folder, part, f"part-{number:05d}.parquet")
    storage.write_bytes(path, parquet_bytes(table))
    return path


def corpus_table(pages: Sequence[Page]) -> pa.Table:
    """Pages as a table with the columns that every corpus of ours has."""
    images = [{"bytes": page.image, "path": None} for page in pages]
    return pa.table(
        {
            "corpus-id": pa.array([page.page_id for page in pages], pa.string()),
            "image": pa.array(images, IMAGE_TYPE),
            "doc-id": pa.array([page.doc_id for page in pages], pa.string()),
            "page": pa.array([page.number for page in pages], pa.int32()),
            "text": pa.array([page.text for page in pages], pa.string()),
        }
    )


def with_pixels(table: pa.Table, pages: Sequence[Page]) -> pa.Table:
    """`table`, which is of `pages`, with a column for the hashes of their pixels."""
    pixels = pa.array([page.pixels_sha256 for page in pages], pa.string())
    return table.append_column(PIXELS, pixels)


def parquet_bytes(table: pa.Table) -> bytes:
    """A parquet file of `table`, in small row groups."""
    buffer = io.BytesIO()
    rows = _BYTES_PER_ROW_GROUP * table.num_rows // max(1, table.nbytes)
    rows = max(1, min(_PAGES_PER_ROW_GROUP, rows))
    # Images are compressed already; a second compression costs time and saves nothing.
    compression = "none" if "image" in table.column_names else "zstd"
    pq.write_table(table, buffer, row_group_size=rows, compression=compression)
    return buffer.getvalue()


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
