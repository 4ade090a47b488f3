"""The canonical dataset folder: `corpus/`, `queries/` and `qrels/`, each of parquet files.

This is the layout of the ViDoRe v2 benchmark (configs `corpus`, `queries`, `qrels`); v3, with its
underscores, is read alike. Ids are strings inside ColIntern whatever their type in the files; a
page is relevant to a query when its score is at least 1. Images stay bytes until the moment they
are encoded. Other layouts are brought into this one by `data.resolve`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import pyarrow as pa

from colintern import storage
from colintern.data.added_judgements import AddedJudgements
from colintern.data.asking import how_to_ask
from colintern.data.compute import pc
from colintern.data.entities import Page, Query
from colintern.data.hashes import FileHashes, sha256_of_files
from colintern.data.judgements import Judgements, read_judgements
from colintern.data.names import is_hidden
from colintern.data.parquet import (
    image_bytes,
    open_parquet,
    rows_of,
    stream_columns,
    stream_rows,
)
from colintern.data.queries import Queries, read_queries
from colintern.errors import DatasetError

PARTS = ("corpus", "queries", "qrels")
# What ColIntern writes into a dataset folder that it makes: before all else, and at the very end.
INGEST_BEGUN, DATASET_DONE = "ingest.json", "dataset.json"
# A column of `corpus/` that we write and others may lack: the hash of what the page shows.
PIXELS = "pixels-sha256"
_PAGE_COLUMNS = ("corpus-id", "image", "doc-id", PIXELS)


@dataclass(frozen=True)
class PageLocation:
    """Where in the corpus a page's image bytes stand."""

    file: str
    row_group: int
    row: int


class CanonicalDataset:
    """A canonical dataset folder, opened for reading; nothing but file lists is read at first.

    Args:
        path: the folder.
        questions: what `questions()` was when a run began. Those files alone are read, whatever
            was added since; one that has changed is an error. None takes them as they are.
        corpus_files: the files of the pages at that time; None lists them.
        added: what people say beside the dataset's own judgements.

    Attributes:
        added: as given.

    Raises:
        DatasetError: the folder, or one of its three parts, is missing.
    """

    def __init__(
        self,
        path: str,
        questions: Mapping[str, str] | None = None,
        corpus_files: Sequence[str] | None = None,
        added: AddedJudgements | None = None,
    ) -> None:
        self.path = path
        self.added = added
        self._questions = questions
        found, query_files, qrels_files = (self._files(part) for part in PARTS)
        self.corpus_files = found if corpus_files is None else list(corpus_files)
        self.query_files, self.qrels_files = self._known(query_files), self._known(qrels_files)

    def _files(self, part: str) -> list[str]:
        folder = storage.join(self.path, part)
        found = storage.list_files(folder, ".parquet")
        files = [file for file in found if not _is_hidden(file)]
        if not files and not storage.exists(self.path):
            raise DatasetError(
                f"{self.path}: no such dataset folder; put it back, or name the place where it "
                "stands now (data.train, data.dev, data.eval, or --dataset)"
            )
        if not files:
            raise DatasetError(
                f"{folder}: no parquet files; a dataset folder has corpus/, queries/ and qrels/ "
                "with parquet files in each"
            )
        return files

    def _known(self, files: list[str]) -> list[str]:
        """Without the files of questions that were added since a run began."""
        known = self._questions or {}
        return [file for file in files if self._name(file) in known] or files

    def _name(self, file: str) -> str:
        return file.removeprefix(self.path).lstrip("/")

    def content_hash(self) -> str:
        """A hash of all that the dataset holds: every file of its three parts."""
        lines = [f"{name} {sha256}" for name, sha256 in self.questions().items()]
        lines.append(f"corpus {self.corpus_hash(FileHashes())}")
        return storage.sha256_of_bytes("\n".join(lines).encode())

    def corpus_hash(self, hashes: FileHashes) -> str:
        """A hash of all that `corpus_files` hold; `hashes` may know it already."""
        listed, chosen = storage.join(self.path, "corpus"), set(self.corpus_files)
        files = [state for state in storage.list_states(listed, ".parquet") if state.path in chosen]
        found = zip(files, hashes.of(files), strict=True)
        lines = (f"{file.path.removeprefix(self.path)} {held}" for file, held in found)
        return storage.sha256_of_bytes("\n".join(lines).encode())

    def footers_hash(self) -> str:
        """What earlier versions took for the content's hash, and recorded.

        It covers queries and judgements whole, and of the corpus the footer of every parquet file:
        rows, sizes and column statistics.
        """
        small = [*self.query_files, *self.qrels_files]
        footers = [f"{f.removeprefix(self.path)} {storage.sha256_of_file(f)}" for f in small]
        for file in self.corpus_files:
            size = storage.size_of(file)
            tail = storage.read_bytes(file, max(0, size - 8), size)
            footer_bytes = int.from_bytes(tail[:4], "little") + 8
            footer = storage.read_bytes(file, max(0, size - footer_bytes), size)
            footers.append(f"{file.removeprefix(self.path)} {storage.sha256_of_bytes(footer)}")
        return storage.sha256_of_bytes("\n".join(footers).encode())

    def questions(self) -> dict[str, str]:
        """Each file of queries and judgements, by its path in the folder, to its SHA-256."""
        return {**self._hashes(self.query_files), **self._hashes(self.qrels_files)}

    def check_questions(self) -> None:
        """Make sure that queries and judgements are those that the dataset was opened for.

        Raises:
            DatasetError: a file of them has changed; the message names it.
        """
        self._check_unchanged("queries", self.query_files)
        self._check_unchanged("qrels", self.qrels_files)

    def _check_unchanged(self, part: str, files: Sequence[str]) -> None:
        """To be called when `files` have been read: then it was those that were meant."""
        if self._questions is None:
            return
        found = self._hashes(files)
        wanted = {
            name: sha256 for name, sha256 in self._questions.items() if name.startswith(f"{part}/")
        }
        for name in sorted(found.keys() | wanted.keys()):
            if found.get(name) != wanted.get(name):
                raise DatasetError(
                    f"{storage.join(self.path, name)}: has changed since this run began; put it "
                    "back and run the same command again, or choose another run.name"
                )

    def _hashes(self, files: Sequence[str]) -> dict[str, str]:
        folder = files[0].rpartition("/")[0]
        found = sha256_of_files(folder, [file.rpartition("/")[2] for file in files])
        return dict(zip(map(self._name, files), found, strict=True))

    @cached_property
    def asked(self) -> Queries:
        """The queries that can be asked, and why others cannot; read at the first time.

        Raises:
            DatasetError: a file is damaged, or has changed since the dataset was opened.
        """
        queries = read_queries(self.query_files)
        pa.default_memory_pool().release_unused()  # what reading and sorting took
        self._check_unchanged("queries", self.query_files)
        return queries

    def queries(self) -> list[Query]:
        """All queries that can be asked, sorted by id."""
        return list(self.asked)

    def bad_queries(self) -> dict[str, str]:
        """Query id to the reason why it cannot be asked; a query without a text is one."""
        return dict(self.asked.bad)

    def judgements(self) -> Judgements:
        """Query id to page id to score, for scores of at least 1; read at the first time.

        With what people say beside them.

        Raises:
            DatasetError: as `read_judgements`; or no page is judged relevant to any query.
        """
        return self._with_added

    @cached_property
    def _with_added(self) -> Judgements:
        if self.added is None:
            return self.own_judgements
        relevant = self.added.applied(self.own_judgements)
        pa.default_memory_pool().release_unused()
        if not relevant:
            raise DatasetError(
                f"data.judgements: leaves no page that is relevant to any query of {self.path}; "
                "take lines with a low score out of it"
            )
        return relevant

    @cached_property
    def own_judgements(self) -> Judgements:
        """As `judgements`, without what people say beside them."""
        relevant = self._relevant_of(self._judged())
        pa.default_memory_pool().release_unused()
        return relevant

    def _judged(self) -> pa.Table:
        """All rows of `qrels/`, each pair once."""
        judged = read_judgements(self.qrels_files)
        self._check_unchanged("qrels", self.qrels_files)
        return judged

    def _relevant_of(self, judged: pa.Table) -> Judgements:
        relevant = Judgements.of(judged.filter(pc.field("score") >= 1))
        if not relevant:
            if judged.num_rows == 0 and (remedy := self._how_to_ask()):
                raise DatasetError(
                    f"{self.path}: has no questions, which training and evaluation need; {remedy}"
                )
            raise DatasetError(
                f"{self.path}/qrels: no page is judged relevant to any query; "
                "training and evaluation need rows with score >= 1"
            )
        return relevant

    def _how_to_ask(self) -> str | None:
        """How questions are added, to what `ingest` has made; None for other folders."""
        files = [storage.join(self.path, name) for name in (INGEST_BEGUN, DATASET_DONE)]
        if not all(map(storage.exists, files)):
            return None
        return how_to_ask(self.path, storage.read_json(files[-1]))

    def documents(self) -> dict[str, str | None]:
        """All page ids, sorted, with the document of each, if known; no image is read."""
        rows = stream_rows(self.corpus_files, ["corpus-id"], ["doc-id"])
        found = {str(row["corpus-id"]): _text(row.get("doc-id")) for row in rows}
        return {page_id: found[page_id] for page_id in sorted(found)}

    def page_ids(self) -> pa.Array:
        """All page ids, sorted by code point, each once; no image is read."""
        return self._column(self.corpus_files, "corpus-id", ["doc-id"]).unique().sort()

    def images(self, page_ids: Collection[str]) -> dict[str, bytes]:
        """The image bytes of those pages that are there; no row group without one is read."""
        found = {
            page_id: location
            for file in self.corpus_files
            for location, page_id in _locations(file)
            if page_id in page_ids
        }
        return dict(zip(found, read_images(list(found.values())), strict=True))

    def check(self) -> None:
        """Make sure that ids mean one thing each, without reading an image.

        Raises:
            DatasetError: a judgement names a query or page that is not there, one query id has two
                texts, or nothing is judged relevant; the message names file and column.
        """
        judged, _ = self._judged(), self.asked  # their columns are as they must be
        query_ids = self._column(self.query_files, "query-id")
        known_queries = query_ids.unique()
        if len(known_queries) < len(query_ids):
            self._check_texts()
        known_pages = self._column(self.corpus_files, "corpus-id", ["doc-id"]).unique()
        for column, known, part in (
            ("query-id", known_queries, "queries"),
            ("corpus-id", known_pages, "corpus"),
        ):
            if not pc.all(pc.is_in(judged[column], value_set=known)).as_py():
                self._tell_unknown(column, known, part)
        self._relevant_of(judged)

    def _check_texts(self) -> None:
        """Make sure that rows with the same id have the same text.

        Raises:
            DatasetError: two do not.
        """
        texts: dict[str, str] = {}
        for row in stream_rows(self.query_files, ["query-id", "query"]):
            query_id, text = str(row["query-id"]), row["query"] or ""
            if texts.setdefault(query_id, text) != text:
                raise DatasetError(
                    f"{self.path}/queries: 'query-id' {query_id} occurs twice, with two texts"
                )

    def _tell_unknown(self, column: str, known: pa.Array, part: str) -> None:
        for file in self.qrels_files:
            for batch in stream_columns([file], ["query-id", "corpus-id"]):
                is_known = pc.is_in(batch.column(column), value_set=known)
                if (first := pc.index(is_known, False).as_py()) >= 0:
                    raise DatasetError(
                        f"{file}: '{column}' {batch.column(column)[first]} is not in "
                        f"{self.path}/{part}"
                    )

    def _column(
        self, files: Sequence[str], column: str, checked_too: Sequence[str] = ()
    ) -> pa.ChunkedArray:
        parts = [batch.column(0) for batch in stream_columns(files, [column], checked_too)]
        return pa.chunked_array(parts, pa.string())


def _is_hidden(file: str) -> bool:
    return is_hidden(file.rsplit("/", 1)[-1])


def iterate_pages(
    file: str, row_groups: Sequence[int] | None = None
) -> Iterator[tuple[PageLocation, Page]]:
    """Every page of one corpus file, or of some of its row groups, with its location."""
    with open_parquet(file, ["corpus-id", "image"], ["doc-id", PIXELS]) as parquet:
        for group in range(parquet.num_row_groups) if row_groups is None else row_groups:
            for index, row in enumerate(rows_of(parquet, file, _PAGE_COLUMNS, group)):
                yield PageLocation(file, group, index), _page_from(row)


def _locations(file: str) -> Iterator[tuple[PageLocation, str]]:
    """Where every page of one corpus file stands; of the columns only the ids are read."""
    with open_parquet(file, ["corpus-id"]) as parquet:
        for group in range(parquet.num_row_groups):
            for index, row in enumerate(rows_of(parquet, file, ["corpus-id"], group)):
                yield PageLocation(file, group, index), str(row["corpus-id"])


def read_images(locations: Sequence[PageLocation]) -> list[bytes]:
    """The image bytes at `locations`, in their order; each row group is read once at most.

    Where a file has no such row any more, there are none.
    """
    wanted: dict[tuple[str, int], dict[int, list[int]]] = {}
    for position, location in enumerate(locations):
        rows = wanted.setdefault((location.file, location.row_group), {})
        rows.setdefault(location.row, []).append(position)
    images = [b""] * len(locations)
    for (file, group), rows in wanted.items():
        with open_parquet(file, ["image"]) as parquet:
            if group >= parquet.num_row_groups:
                continue
            found = islice(rows_of(parquet, file, ["image"], group), max(rows) + 1)
            for index, row in enumerate(found):
                for position in rows.get(index, ()):
                    images[position] = image_bytes(row["image"])
    return images


def largest_row_group_bytes(files: Sequence[str]) -> int:
    """The size of the largest row group that holds several pages, not compressed."""
    sizes = [0]
    for file in files:
        with open_parquet(file, ["corpus-id", "image"]) as parquet:
            groups = map(parquet.metadata.row_group, range(parquet.num_row_groups))
            sizes += [group.total_byte_size for group in groups if group.num_rows > 1]
    return max(sizes)


def _page_from(row: dict[str, Any]) -> Page:
    page_id, image = str(row["corpus-id"]), image_bytes(row["image"])
    return Page(page_id, image, _text(row.get("doc-id")), pixels_sha256=row.get(PIXELS))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
