"""Streaming a dataset of another layout into a canonical folder, with its images untouched.

In rows a page has no id but its image: rows that show the same picture are of one page, also when
each was saved anew. So every picture of them is decoded, once.
"""

import re
from dataclasses import dataclass, field, replace
from typing import Any

from colintern import storage
from colintern.data.entities import Judgement, Page, Query
from colintern.data.equal_questions import EqualQuestions, Key
from colintern.data.judgements import read_judgements
from colintern.data.layouts import Layout
from colintern.data.looking import LookAt, first_pictures, not_looked_at, with_pixels
from colintern.data.parquet import image_bytes, stream_rows
from colintern.data.progress import Progress
from colintern.data.text import query_problem, without_controls
from colintern.data.writing import CorpusWriter, write_questions
from colintern.errors import DatasetError
from colintern.images.pixels import picture_of, pixels_of

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
        How much was written, and how many queries were left out because they cannot be asked.

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


def import_pages(
    layout: Layout,
    writer: CorpusWriter,
    language: str | None,
    relevant_from: float | None = None,
    look_at: LookAt = not_looked_at,
) -> Questions:
    """Write the corpus, and give the questions; `language` has been checked.

    Rows whose pictures have equal pixels become one page as far as `look_at` tells these; where it
    does not, rows with equal bytes.
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
    """Ids stay as they are; a page id that stands twice must show one page."""
    # First, so that a score which cannot be read costs no copy of a corpus.
    judged = read_judgements(layout.parts["qrels"], relevant_from)
    found = Questions(judgements=list(map(Judgement, *judged.to_pydict().values())))
    hashes: dict[str, str] = {}
    saved_anew: dict[str, dict[str, str]] = {}  # page id to other pictures of it, with their files
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
                picture = picture_of(digest, pixels_of(image))
                saved_anew.setdefault(page_id, {})[picture] = file
    for page_id, picture in first_pictures(layout.parts["corpus"], saved_anew):
        for file in (file for other, file in saved_anew[page_id].items() if other != picture):
            raise DatasetError(f"{file}: 'corpus-id' {page_id} stands twice, with two images")
    columns = ["language", "source"]
    for row in stream_rows(layout.parts["queries"], ["query-id", "query"], columns):
        if language in (None, row.get("language")):
            found.queries.append(_query(row))
    if language is not None:
        kept = {query.query_id for query in found.queries}
        found.judgements = [judged for judged in found.judgements if judged.query_id in kept]
    problems = {query.query_id: query_problem(query.text) for query in found.queries}
    found.left_out = {name: problem for name, problem in problems.items() if problem}
    return found


def _query(row: dict[str, Any]) -> Query:
    return Query(str(row["query-id"]), row["query"] or "", row.get("language"), row.get("source"))


def _from_rows(
    layout: Layout, writer: CorpusWriter, language: str | None, look_at: LookAt
) -> Questions:
    """One page a picture, one query an equal text; every row judges its page relevant.

    The language is chosen before equal texts are merged: every page of it stays, and no other
    language's page comes with it.
    """
    pages: dict[str, str] = {}
    questions = EqualQuestions()
    judged: dict[tuple[Key, str], None] = {}
    found = Questions()
    optional = ["source", "language", *_PAGE_COLUMNS]
    rows = stream_rows(layout.parts["rows"], ["image", "query"], optional)
    progress = Progress("data", "rows read")
    for num_rows, (row, seen) in enumerate(look_at(rows)):
        progress.add(1)
        image = image_bytes(row["image"])
        # Rows without an image are bad pages, each for itself, not one page with many questions.
        picture = seen.picture if image else f"none {num_rows}"
        if picture not in pages:
            path = row.get("image-filename") or (row["image"] or {}).get("path") or ""
            page = _described(_page_id(path, len(pages)), image, path, row)
            pages[picture] = page.page_id
            writer.add(replace(page, pixels_sha256=seen.pixels_sha256))
        if row["query"] is None or language not in (None, row.get("language")):
            continue
        if problem := query_problem(row["query"]):
            found.left_out[f"query of row {num_rows + 1}"] = problem
            continue
        key = questions.add(row["query"], row.get("language"), row.get("source"))
        judged[key, pages[picture]] = None
    ids = questions.ids()
    pairs = dict.fromkeys((ids[key], page_id) for key, page_id in judged)
    found.queries = questions.queries()
    found.judgements = [Judgement(query_id, page_id, 1) for query_id, page_id in pairs]
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
