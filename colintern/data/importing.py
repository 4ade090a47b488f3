"""Streaming a dataset of another layout into a canonical folder, with its images untouched."""

import re
from dataclasses import dataclass, field
from typing import Any

from colintern import storage
from colintern.data.entities import Judgement, Page, Query
from colintern.data.layouts import Layout
from colintern.data.parquet import image_bytes, stream_rows
from colintern.data.progress import Progress
from colintern.data.text import normalised, query_problem, without_controls
from colintern.data.writing import CorpusWriter, write_questions
from colintern.errors import DatasetError

# `name_page_12.jpg`, `1810.10511_2.jpg`: the page's number at the end, its document before it.
_NUMBERED = re.compile(r"(?P<document>.+?)[_-](?:page[_-])?(?P<number>\d{1,6})")

_NUMBER_COLUMNS = ("page", "page-number", "page-number-in-doc")
_PAGE_COLUMNS = ("doc-id", "image-filename", *_NUMBER_COLUMNS)
_MAX_DIGITS = 9  # a larger number is no page's, and does not fit into the column

_GENERIC = ("page", "p", "pg", "img", "image", "scan", "screenshot", "figure")


@dataclass
class Questions:
    """What a dataset asks of its pages.

    Attributes:
        queries: of the wanted language; in the layouts with parts also those that cannot be asked.
        judgements: of these queries.
        left_out: queries that cannot be asked, by id or row, to the reason.
    """

    queries: list[Query] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def import_dataset(layout: Layout, folder: str, language: str | None) -> dict[str, int]:
    """Write the canonical folder; images stream through, only ids, texts and hashes are kept.

    Args:
        layout: of the source.
        folder: to write.
        language: only the queries of this language; None takes all.

    Returns:
        How much was written, and how many queries were left out because they cannot be asked.

    Raises:
        DatasetError: a column is missing or of a wrong type, an id has two meanings, or no query
            is of the language.
    """
    check_language(layout, language)
    writer = CorpusWriter(folder)
    questions = import_pages(layout, writer, language)
    write_questions(folder, questions.queries, questions.judgements)
    return {
        "pages": writer.num_pages,
        "queries": len(questions.queries),
        "judgements": len(questions.judgements),
        "queries_left_out": len(questions.left_out),
    }


def check_language(layout: Layout, language: str | None) -> None:
    """Make sure that a query is of the language, before anything is written or deleted.

    Raises:
        DatasetError: none is.
    """
    if language is None:
        return
    files = layout.parts.get("queries") or layout.parts["rows"]
    rows = stream_rows(files, ["query"], ["language"])
    known = {row.get("language") for row in rows if row["query"] is not None}
    if language not in known:
        there = ", ".join(sorted(name or "none" for name in known)) or "no queries"
        raise DatasetError(f"{files[0]}: no query has language {language}; there are: {there}")


def import_pages(layout: Layout, writer: CorpusWriter, language: str | None) -> Questions:
    """Write the corpus, and give the questions; `language` has been checked."""
    read = _from_rows if layout.kind == "rows" else _from_beir
    questions = read(layout, writer)
    writer.flush()
    if language is None:
        return questions
    queries = [query for query in questions.queries if query.language == language]
    kept = {query.query_id for query in queries}
    judgements = [found for found in questions.judgements if found.query_id in kept]
    left_out = {name: why for name, why in questions.left_out.items() if name in kept}
    return Questions(queries, judgements, left_out)


def _from_beir(layout: Layout, writer: CorpusWriter) -> Questions:
    """Ids stay as they are; a page id that stands twice must have one image."""
    hashes: dict[str, str] = {}
    progress = Progress("data", "pages read")
    for file in layout.parts["corpus"]:
        for row in stream_rows([file], ["corpus-id", "image"], ["text", *_PAGE_COLUMNS]):
            progress.add(1)
            page_id, image = str(row["corpus-id"]), image_bytes(row["image"])
            digest = storage.sha256_of_bytes(image)
            if page_id not in hashes:
                hashes[page_id] = digest
                path = row.get("image-filename") or ""
                writer.add(_described(page_id, image, path, row))
            elif hashes[page_id] != digest:
                raise DatasetError(f"{file}: 'corpus-id' {page_id} stands twice, with two images")
    found = Questions()
    columns = ["language", "source"]
    for row in stream_rows(layout.parts["queries"], ["query-id", "query"], columns):
        found.queries.append(
            Query(str(row["query-id"]), row["query"] or "", row.get("language"), row.get("source"))
        )
    problems = {query.query_id: query_problem(query.text) for query in found.queries}
    found.left_out = {name: problem for name, problem in problems.items() if problem}
    for row in stream_rows(layout.parts["qrels"], ["query-id", "corpus-id", "score"]):
        ids = str(row["query-id"]), str(row["corpus-id"])
        found.judgements.append(Judgement(*ids, int(row["score"])))
    return found


def _from_rows(layout: Layout, writer: CorpusWriter) -> Questions:
    """One page an image hash, one query an equal text; every row judges its page relevant."""
    pages: dict[str, str] = {}
    queries: dict[str, Query] = {}
    judged: dict[tuple[str, str], None] = {}
    found = Questions()
    optional = ["source", "language", *_PAGE_COLUMNS]
    rows = stream_rows(layout.parts["rows"], ["image", "query"], optional)
    progress = Progress("data", "rows read")
    for num_rows, row in enumerate(rows):
        progress.add(1)
        image = image_bytes(row["image"])
        # Rows without an image are bad pages, each for itself, not one page with many questions.
        digest = storage.sha256_of_bytes(image) if image else f"none {num_rows}"
        if digest not in pages:
            path = row.get("image-filename") or (row["image"] or {}).get("path") or ""
            page = _described(_page_id(path, len(pages)), image, path, row)
            pages[digest] = page.page_id
            writer.add(page)
        if row["query"] is None:
            continue
        if problem := query_problem(row["query"]):
            found.left_out[f"query of row {num_rows + 1}"] = problem
            continue
        key = storage.sha256_of_bytes(normalised(row["query"]).encode())[:16]
        queries.setdefault(key, Query(key, row["query"], row.get("language"), row.get("source")))
        judged[key, pages[digest]] = None
    found.queries = sorted(queries.values(), key=lambda query: query.query_id)
    found.judgements = [Judgement(query_id, page_id, 1) for query_id, page_id in judged]
    return found


def _page_id(path: str, place: int) -> str:
    """An id in the order of the rows."""
    stem = _stem(without_controls(path))
    return f"{place:07d}-{stem}" if stem else f"{place:07d}"


def _described(page_id: str, image: bytes, path: str, row: dict[str, Any]) -> Page:
    """A page with its document and number: those of the columns, else those of its file's name."""
    document = number = None
    path = without_controls(path)
    if numbered := _NUMBERED.fullmatch(_stem(path)):
        document, number = numbered["document"], int(numbered["number"])
        if document.lower() in _GENERIC:
            document = path.rpartition("/")[0] or None  # page_1.jpg: the folder, if anything
    document = _text(row.get("doc-id")) or document
    stated = (_whole(row.get(name)) for name in _NUMBER_COLUMNS)
    number = next((value for value in stated if value is not None), number)
    return Page(page_id, image, document, _text(row.get("text")), number)


def _stem(path: str) -> str:
    return path.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def _whole(value: Any) -> int | None:
    """A page number, which may stand as text or as `3.0`; None for what is none."""
    text = (_text(value) or "").removesuffix(".0")
    return int(text) if text.isdecimal() and len(text) <= _MAX_DIGITS else None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
