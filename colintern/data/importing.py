"""Streaming a dataset of another layout into a canonical folder, with its images untouched.

In the layout of rows a page is known by its image only: rows that show the same picture are one
page, also when the picture was saved again in other bytes. So each picture is decoded, once.
"""

import re
from dataclasses import dataclass, field, replace
from typing import Any

from colintern import log, storage
from colintern.data.entities import Judgement, Page, Query
from colintern.data.equal_questions import EqualQuestions, Key
from colintern.data.judgements import read_judgements
from colintern.data.layouts import Layout
from colintern.data.looking import LookAt, first_pictures, not_looked_at, with_pixels
from colintern.data.page_texts import TEXT_COLUMNS, text_of
from colintern.data.parquet import image_bytes, num_rows, stream_rows
from colintern.data.several import check_same_pages, configurations, named, named_judgements
from colintern.data.text import bad_query_reason, without_controls
from colintern.data.writing import CorpusWriter, write_questions
from colintern.errors import DatasetError
from colintern.images.pixels import picture_of, pixels_of

# `name_page_12.jpg`, `1810.10511_2.jpg`: the page's number at the end, its document before it.
_NUMBERED = re.compile(r"(?P<document>.+?)[_-](?:page[_-])?(?P<number>\d{1,6})")

_NUMBER_COLUMNS = ("page", "page-number", "page-number-in-doc")
_PAGE_COLUMNS = ("doc-id", "image-filename", *_NUMBER_COLUMNS)
_MAX_DIGITS = 9  # a larger number is no page number, and does not fit into the column

_GENERIC = ("page", "p", "pg", "img", "image", "scan", "screenshot", "figure")


@dataclass
class Questions:
    """The queries of a dataset, and their judgements.

    Attributes:
        queries: of the wanted language; in the layouts with parts also the bad ones.
        judgements: of these queries.
        bad_queries: those that cannot be asked, by id or row, to the reason.
    """

    queries: list[Query] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    bad_queries: dict[str, str] = field(default_factory=dict)


def import_dataset(
    layout: Layout, folder: str, language: str | None, relevant_from: float | None = None
) -> dict[str, int]:
    """Write the canonical folder; images stream through, only ids, texts and hashes are kept.

    Args:
        layout: of the source.
        folder: to write.
        language: only the queries of this language; None takes all.
        relevant_from: from which score on a page is relevant; None takes whole numbers as they are.

    Returns:
        How much was written, and how many queries are bad.

    Raises:
        DatasetError: a column is missing or of a wrong type, an id has two meanings, a judgement
            cannot be read, or no query is of the language.
    """
    check_language(layout, language)
    writer = CorpusWriter(folder)
    questions = import_pages(layout, writer, language, relevant_from, with_pixels)
    write_questions(folder, questions.queries, questions.judgements)
    return {
        "pages": writer.num_pages,
        "queries": len(questions.queries),
        "judgements": len(questions.judgements),
        "queries_left_out": len(questions.bad_queries),
    }


def check_language(layout: Layout, language: str | None) -> None:
    """Make sure that there is a query in the language, before anything is written or deleted.

    Raises:
        DatasetError: none is.
    """
    if language is None:
        return
    files = layout.files("queries") or layout.files("rows")
    rows = stream_rows(files, ["query"], ["language"])
    known = {row.get("language") for row in rows if row["query"] is not None}
    if language not in known:
        there = ", ".join(sorted(name or "none" for name in known)) or "no queries"
        raise DatasetError(f"{files[0]}: no query has language {language}; there are: {there}")


def import_pages(
    layout: Layout,
    writer: CorpusWriter,
    language: str | None,
    relevant_from: float | None = None,
    look_at: LookAt = not_looked_at,
) -> Questions:
    """Write the corpus and return the questions; `language` has been checked.

    Rows with equal pixels become one page if `look_at` decodes them; otherwise rows with equal
    bytes do.
    """
    if layout.kind == "rows":
        questions = _from_rows(layout, writer, language, look_at)
    else:
        questions = _from_beir(layout, writer, language, relevant_from)
    writer.flush()
    return questions


def _from_beir(
    layout: Layout, writer: CorpusWriter, language: str | None, relevant_from: float | None
) -> Questions:
    """Ids are kept; if a page id comes twice, both rows must show the same page."""
    # Before the corpus is copied, so that a bad score is found early.
    found = Questions()
    for name, own in configurations(layout).items():
        questions = _questions(name, own, language, relevant_from)
        found.queries += questions.queries
        found.judgements += questions.judgements
    check_same_pages(layout)
    _copy_pages(layout, writer)
    reasons = {query.query_id: bad_query_reason(query.text) for query in found.queries}
    found.bad_queries = {name: reason for name, reason in reasons.items() if reason}
    return found


def _questions(
    name: str | None, layout: Layout, language: str | None, relevant_from: float | None
) -> Questions:
    """The questions of one configuration, and their judgements."""
    judged = read_judgements(layout.parts["qrels"], relevant_from)
    judgements = named_judgements(name, map(Judgement, *judged.to_pydict().values()))
    columns = ["language", "source"]
    rows = stream_rows(layout.parts["queries"], ["query-id", "query"], columns)
    queries = [
        query for query in named(name, map(_query, rows)) if language in (None, query.language)
    ]
    if language is not None:
        kept = {query.query_id for query in queries}
        judgements = [judgement for judgement in judgements if judgement.query_id in kept]
    return Questions(queries, judgements)


def _copy_pages(layout: Layout, writer: CorpusWriter) -> None:
    """Write every page once.

    Raises:
        DatasetError: an id has two images.
    """
    hashes: dict[str, str] = {}
    resaved: dict[str, dict[str, str]] = {}  # page id to its other pictures, and their files
    files, optional = layout.parts["corpus"], [*TEXT_COLUMNS, *_PAGE_COLUMNS]
    with log.Progress("data", "copying", "pages", num_rows(files)) as progress:
        for file in files:
            for row in stream_rows([file], ["corpus-id", "image"], optional):
                page_id, image = str(row["corpus-id"]), image_bytes(row["image"])
                digest = storage.sha256_of_bytes(image)
                if page_id not in hashes:
                    hashes[page_id] = digest
                    path = row.get("image-filename") or ""
                    writer.add(_described(page_id, image, path, row))
                elif hashes[page_id] != digest:
                    picture = picture_of(digest, pixels_of(image))
                    resaved.setdefault(page_id, {})[picture] = file
                progress.add(1)
    for page_id, picture in first_pictures(files, resaved):
        for file in (file for other, file in resaved[page_id].items() if other != picture):
            raise DatasetError(f"{file}: 'corpus-id' {page_id} occurs twice, with two images")


def _query(row: dict[str, Any]) -> Query:
    return Query(str(row["query-id"]), row["query"] or "", row.get("language"), row.get("source"))


def _from_rows(
    layout: Layout, writer: CorpusWriter, language: str | None, look_at: LookAt
) -> Questions:
    """One page for each picture, one query for equal texts; a row judges its page relevant.

    The language is chosen before equal texts are merged: no query gets the page of another
    language.
    """
    pages: dict[str, str] = {}
    questions = EqualQuestions()
    judged: dict[tuple[Key, str], None] = {}
    found = Questions()
    optional = ["source", "language", *_PAGE_COLUMNS]
    files = layout.parts["rows"]
    rows = stream_rows(files, ["image", "query"], optional)
    with log.Progress("data", "copying", "rows", num_rows(files)) as progress:
        for number, (row, seen) in enumerate(look_at(rows), start=1):
            progress.reach(number)
            image = image_bytes(row["image"])
            # Each row without an image is a bad page of its own, not one page with many questions.
            picture = seen.picture if image else f"none {number}"
            if picture not in pages:
                path = row.get("image-filename") or (row["image"] or {}).get("path") or ""
                page = _described(_page_id(path, len(pages)), image, path, row)
                pages[picture] = page.page_id
                writer.add(replace(page, pixels_sha256=seen.pixels_sha256))
            if row["query"] is None or language not in (None, row.get("language")):
                continue
            if reason := bad_query_reason(row["query"]):
                found.bad_queries[f"query of row {number}"] = reason
                continue
            key = questions.add(row["query"], row.get("language"), row.get("source"))
            judged[key, pages[picture]] = None
    ids = questions.ids()
    pairs = dict.fromkeys((ids[key], page_id) for key, page_id in judged)
    found.queries = questions.queries()
    found.judgements = [Judgement(query_id, page_id, 1) for query_id, page_id in pairs]
    return found


def _page_id(path: str, index: int) -> str:
    """An id in the order of the rows."""
    stem = _stem(without_controls(path))
    return f"{index:07d}-{stem}" if stem else f"{index:07d}"


def _described(page_id: str, image: bytes, path: str, row: dict[str, Any]) -> Page:
    """A page with its document and number, from the columns or else from the file's name."""
    document = number = None
    path = without_controls(path)
    if numbered := _NUMBERED.fullmatch(_stem(path)):
        document, number = numbered["document"], int(numbered["number"])
        if document.lower() in _GENERIC:
            document = path.rpartition("/")[0] or None  # page_1.jpg: the folder, if anything
    document = _text(row.get("doc-id")) or document
    stated = (_whole(row.get(name)) for name in _NUMBER_COLUMNS)
    number = next((value for value in stated if value is not None), number)
    return Page(page_id, image, document, text_of(row), number)


def _stem(path: str) -> str:
    return path.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def _whole(value: Any) -> int | None:
    """A page number, which may be text or `3.0`; None for anything else."""
    text = (_text(value) or "").removesuffix(".0")
    return int(text) if text.isdecimal() and len(text) <= _MAX_DIGITS else None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
