"""A dataset of another layout as a source: its images are checked, and copied byte by byte.

The pages stream into `corpus/` first. Then each is decoded once, in other processes, and files with
bad pages are written again without them. A blank page stays: a published corpus keeps its size.
Rows that show the same picture in different bytes become one page at this point. After a kill it
starts from the beginning.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from colintern import log, storage
from colintern.data.canonical import (
    PARTS,
    PageLocation,
    iterate_pages,
)
from colintern.data.entities import Page
from colintern.data.importing import Questions, import_pages
from colintern.data.inventory import row_groups
from colintern.data.layouts import Layout
from colintern.data.names import is_hidden
from colintern.data.parquet import num_rows, open_parquet
from colintern.data.writing import CorpusWriter, parquet_bytes, unchecked, write_questions
from colintern.errors import DatasetError
from colintern.images.decode import BadImageError, decode
from colintern.images.pixels import pixels_sha256
from colintern.ingestion.findings import BadItem, Report, equal_pages
from colintern.ingestion.pool import (
    SECONDS_PER_PAGE,
    SECONDS_PER_PART,
    CrashedError,
    Processes,
)
from colintern.ingestion.sources import kind_of


@dataclass(frozen=True)
class _Rows:
    """A row group of a corpus file, or one row of it."""

    file: str
    row_group: int
    row: int | None = None


@dataclass(frozen=True)
class _Seen:
    """A page that was looked at: what it shows, or the reason why it is bad."""

    location: PageLocation
    page_id: str
    doc_id: str | None
    picture: str
    reason: str | None


def is_dataset(source: str) -> bool:
    """Whether a source is a dataset of parquet files, and not a folder of PDFs and pictures.

    It is one if the names of its parquet files or of their folders contain all three parts
    (`corpus`, `queries`, `qrels`), whatever else is there; or if it has parquet files and neither a
    PDF nor a picture. So a stray parquet file among PDFs is no dataset; one that is given as the
    source is.
    """
    if source.endswith(".parquet"):
        return True
    source = storage.absolute(source)
    files = [file.removeprefix(source) for file in storage.find_files(source)]
    files = [file for file in files if not is_hidden(file.strip("/"))]
    words = [set(re.split(r"[/.-]", file)) for file in files if file.endswith(".parquet")]
    if all(any(part in found for found in words) for part in PARTS):
        return True
    return bool(words) and not any(kind_of(file) for file in files)


def copy_dataset(
    layout: Layout,
    out: str,
    language: str | None,
    processes: Processes,
    check: Callable[[], None] = unchecked,
    *,
    relevant_from: float | None = None,
) -> Report:
    """Make the canonical dataset folder `out` of another dataset, without its bad pages.

    `check` is called before anything is written or removed, and raises when it must not be.

    Raises:
        DatasetError: as `import_dataset`; or a judgement names a page or query that is not there.
    """
    check()
    for path in storage.list_files(storage.join(out, "corpus"), ".parquet"):
        storage.delete(path)  # of an earlier ingest into this folder
    questions = import_pages(layout, CorpusWriter(out, check), language, relevant_from)
    files = storage.list_files(storage.join(out, "corpus"), ".parquet")
    seen = _look_at_pages(files, processes)
    _check_judgements(layout, questions, seen)
    bad = {page.page_id for page in seen if page.reason}
    first_of = _first_of(seen) if layout.kind == "rows" else {}
    for file in files:
        check()
        removed = (page for page in seen if page.reason or page.page_id in first_of)
        _remove_rows(file, [page.location for page in removed])
    asked, bad_queries = _asked_of(_merged(questions, first_of), bad)
    check()
    write_questions(out, asked.queries, asked.judgements)
    good = [page for page in seen if not page.reason and page.page_id not in first_of]
    return Report(
        pages=len(good),
        documents=len({page.doc_id for page in good if page.doc_id is not None}),
        bad=[BadItem(page.page_id, None, page.reason) for page in seen if page.reason],
        bad_queries=bad_queries,
        skipped={},
        duplicates=equal_pages((page.page_id, page.picture) for page in good),
        queries=len(asked.queries),
        judgements=len(asked.judgements),
        settings={"layout": layout.kind, "language": language},
        asked=len(asked.queries) + len(bad_queries),
    )


def _first_of(seen: Sequence[_Seen]) -> dict[str, str]:
    """From the id of each repeated page to the id of the first page that shows the same."""
    groups = equal_pages((page.page_id, page.picture) for page in seen if not page.reason)
    return {page_id: group[0] for group in groups for page_id in group[1:]}


def _merged(questions: Questions, first_of: Mapping[str, str]) -> Questions:
    """The questions, with repeated pages replaced by the first that shows the same."""
    judged = (
        replace(found, page_id=first_of.get(found.page_id, found.page_id))
        for found in questions.judgements
    )
    return replace(questions, judgements=list(dict.fromkeys(judged)))


def _look_at_pages(files: Sequence[str], processes: Processes) -> list[_Seen]:
    """Every page of the corpus files, in their order."""
    groups = [_Rows(file, group) for file, group in row_groups(files)]
    found: dict[_Rows, list[_Seen]] = {}
    with log.Progress("ingest", "checking", "pages", num_rows(files)) as progress:
        for rows, seen in processes.each(_look_at, groups, SECONDS_PER_PART):
            found[rows] = [] if isinstance(seen, CrashedError) else seen
            progress.add(len(found[rows]))
    for rows in (rows for rows, seen in found.items() if not seen):
        found[rows] = _one_by_one(rows, processes)
    return [page for rows in groups for page in found[rows]]


def _look_at(rows: _Rows) -> list[_Seen]:
    """Decode the pages of a row group, or one of them; runs in a worker."""
    return [_seen(location, page) for location, page in _pages(rows)]


def _pages(rows: _Rows) -> Iterator[tuple[PageLocation, Page]]:
    for location, page in iterate_pages(rows.file, [rows.row_group]):
        if rows.row in (None, location.row):
            yield location, page


def _seen(location: PageLocation, page: Page) -> _Seen:
    picture, reason = "", None
    try:
        picture = pixels_sha256(decode(page.image))
    except BadImageError as error:
        reason = str(error)
    return _Seen(location, page.page_id, page.doc_id, picture, reason)


def _one_by_one(rows: _Rows, processes: Processes) -> list[_Seen]:
    """The pages of a row group of which one kills its process: each in a task of its own."""
    pages = {
        _Rows(rows.file, rows.row_group, location.row): (location, page)
        for location, page in _pages(rows)
    }
    found = dict(processes.each(_look_at, list(pages), SECONDS_PER_PAGE))
    seen = []
    for single, (location, page) in pages.items():
        result = found[single]
        if isinstance(result, CrashedError):
            seen.append(_Seen(location, page.page_id, page.doc_id, "", str(result)))
        else:
            seen += result
    return seen


def _remove_rows(file: str, locations: Sequence[PageLocation]) -> None:
    """Write a corpus file again without the pages at `locations`, if it holds any of them."""
    removed = {(at.row_group, at.row) for at in locations if at.file == file}
    if not removed:
        return
    with open_parquet(file, []) as parquet:
        groups = []
        for number in range(parquet.num_row_groups):
            group = parquet.read_row_group(number)
            kept = [(number, row) not in removed for row in range(group.num_rows)]
            groups.append(group.filter(pa.array(kept, pa.bool_())))
    storage.write_bytes(file, parquet_bytes(pa.concat_tables(groups)))


def _check_judgements(layout: Layout, questions: Questions, seen: Sequence[_Seen]) -> None:
    pages = {page.page_id for page in seen}
    queries = {query.query_id for query in questions.queries}
    for judgement in questions.judgements:
        for column, name, known in (
            ("query-id", judgement.query_id, queries),
            ("corpus-id", judgement.page_id, pages),
        ):
            if name not in known:
                file = layout.parts["qrels"][0]
                raise DatasetError(f"{file}: '{column}' {name} is not in the dataset; correct it")


def _asked_of(questions: Questions, bad: set[str]) -> tuple[Questions, list[BadItem]]:
    """The questions without those that cannot be asked, or whose pages are all bad."""
    answers = [found for found in questions.judgements if found.score >= 1]
    answered = {found.query_id for found in answers if found.page_id not in bad}
    lost = {found.query_id: found.page_id for found in answers}
    reasons = {
        name: f"its page is bad: {page_id}"
        for name, page_id in lost.items()
        if name not in answered
    }
    reasons |= questions.bad_queries
    queries = [query for query in questions.queries if query.query_id not in reasons]
    judgements = [
        found
        for found in questions.judgements
        if found.query_id not in reasons and found.page_id not in bad
    ]
    bad_queries = [BadItem(name, None, reason) for name, reason in sorted(reasons.items())]
    return Questions(queries, judgements), bad_queries
