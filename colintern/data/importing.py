"""Streaming a dataset of another layout into a canonical folder, with its images untouched."""

import re
from dataclasses import dataclass, field
from typing import Any

from colintern import storage
from colintern.data.entities import Judgement, Page, Query
from colintern.data.layouts import Layout
from colintern.data.parquet import image_bytes, stream_rows
from colintern.data.text import normalised, query_problem
from colintern.data.writing import CorpusWriter, write_questions
from colintern.errors import DatasetError

# `name_page_12.jpg`, `1810.10511_2.jpg`: the page's number at the end, its document before it.
_NUMBERED = re.compile(r"(?P<document>.+?)[_-](?:page[_-])?(?P<number>\d{1,6})")

_GENERIC = ("page", "p", "pg", "img", "image", "scan", "screenshot", "figure")


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
    writer = CorpusWriter(folder)
    questions = _from_rows(layout, writer) if layout.kind == "rows" else _from_beir(layout, writer)
    writer.flush()
    queries = questions.queries
    if language is not None:
        queries = [query for query in queries if query.language == language]
        if not queries:
            known = sorted({query.language or "none" for query in questions.queries})
            raise DatasetError(
                f"{_first_file(layout)}: no query has language {language}; "
                f"there are: {', '.join(known)}"
            )
    kept = {query.query_id for query in queries}
    judgements = [found for found in questions.judgements if found.query_id in kept]
    write_questions(folder, queries, judgements)
    return {
        "pages": writer.num_pages,
        "queries": len(queries),
        "judgements": len(judgements),
        "queries_left_out": questions.left_out,
    }


@dataclass
class _Questions:
    queries: list[Query] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    left_out: int = 0


def _from_beir(layout: Layout, writer: CorpusWriter) -> _Questions:
    """Ids stay as they are; a page id that stands twice must have one image."""
    hashes: dict[str, str] = {}
    for file in layout.parts["corpus"]:
        for row in stream_rows([file], ["corpus-id", "image"], ["doc-id"]):
            page_id, image = str(row["corpus-id"]), image_bytes(row["image"])
            digest = storage.sha256_of_bytes(image)
            if page_id not in hashes:
                hashes[page_id] = digest
                writer.add(Page(page_id, image, _text(row.get("doc-id"))))
            elif hashes[page_id] != digest:
                raise DatasetError(f"{file}: 'corpus-id' {page_id} stands twice, with two images")
    found = _Questions()
    optional = ["language", "source"]
    for row in stream_rows(layout.parts["queries"], ["query-id", "query"], optional):
        found.queries.append(
            Query(str(row["query-id"]), row["query"] or "", row.get("language"), row.get("source"))
        )
    found.left_out = sum(query_problem(query.text) is not None for query in found.queries)
    for row in stream_rows(layout.parts["qrels"], ["query-id", "corpus-id", "score"]):
        ids = str(row["query-id"]), str(row["corpus-id"])
        found.judgements.append(Judgement(*ids, int(row["score"])))
    return found


def _from_rows(layout: Layout, writer: CorpusWriter) -> _Questions:
    """One page an image hash, one query an equal text; every row judges its page relevant."""
    pages: dict[str, str] = {}
    queries: dict[str, Query] = {}
    judged: dict[tuple[str, str], None] = {}
    found = _Questions()
    optional = ["image-filename", "source", "language"]
    rows = stream_rows(layout.parts["rows"], ["image", "query"], optional)
    for num_rows, row in enumerate(rows):
        image = image_bytes(row["image"])
        # Rows without an image are bad pages, each for itself, not one page with many questions.
        digest = storage.sha256_of_bytes(image) if image else f"none {num_rows}"
        if digest not in pages:
            page = _page_of(row, image, len(pages))
            pages[digest] = page.page_id
            writer.add(page)
        if row["query"] is None:
            continue
        if query_problem(row["query"]):
            found.left_out += 1
            continue
        key = storage.sha256_of_bytes(normalised(row["query"]).encode())[:16]
        queries.setdefault(key, Query(key, row["query"], row.get("language"), row.get("source")))
        judged[key, pages[digest]] = None
    found.queries = sorted(queries.values(), key=lambda query: query.query_id)
    found.judgements = [Judgement(query_id, page_id, 1) for query_id, page_id in judged]
    return found


def _page_of(row: dict[str, Any], image: bytes, place: int) -> Page:
    """A page with an id in the order of the rows, and its document where the file's name tells."""
    path = row.get("image-filename") or (row["image"] or {}).get("path") or ""
    stem = path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    page_id = f"{place:07d}-{stem}" if stem else f"{place:07d}"
    numbered = _NUMBERED.fullmatch(stem)
    if not numbered:
        return Page(page_id, image)
    document, folder = numbered["document"], path.rpartition("/")[0]
    if document.lower() in _GENERIC:
        document = folder or None  # page_1.jpg: the document is the folder, if anything
    return Page(page_id, image, document, number=int(numbered["number"]))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _first_file(layout: Layout) -> str:
    return next(iter(layout.parts.get("queries") or layout.parts["rows"]))
