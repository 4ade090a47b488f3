"""`colintern questions`: from a dataset to a CSV file of drafted questions, which people may edit.

A hidden note beside the file says what was written there, so that a file that somebody has edited,
or that is of another dataset, is not written over.
"""

import csv
import io
import posixpath
from collections.abc import Iterator, Sequence
from typing import Any

from colintern import storage
from colintern.data.asking import QUESTIONS_FORM, ingest_command, takes_questions
from colintern.data.canonical import DATASET_DONE, CanonicalDataset
from colintern.data.drafted import mark
from colintern.data.text import normalised
from colintern.drafting.drafting import Draft, draft
from colintern.errors import DatasetError, UserError
from colintern.ingestion.asked import Asked, read_asked

NOTE = ".colintern-questions.json"  # file name to the dataset and the SHA-256 of what was written
_COLUMNS = ("query", "id", "drafted_from")
_OWN_COLUMNS = ("language", "source", "score")  # of the dataset's own questions


def draft_file(
    dataset: str, out: str, per_page: int, seed: int, *, replace: bool = False
) -> list[str]:
    """Draft questions about the pages of a dataset into a file for `ingest --queries`.

    Questions of the dataset's own stand in the file too, first: what is not in it would go. Those
    that an earlier file has drafted do not count as such.

    Args:
        dataset: a dataset folder that `ingest` has made of PDFs and pictures.
        out: the CSV file.
        per_page: how many questions a page has at most.
        seed: see `draft`.
        replace: write over a file that is there.

    Returns:
        What was written, and the command that brings it into the dataset, for a person.

    Raises:
        DatasetError: the dataset cannot be used, or has no text.
        UserError: `out` cannot be written, or is not to be written over.
    """
    folder = storage.absolute(dataset)
    _check_out(out, folder, replace=replace)
    corpus = _opened(dataset, folder)
    asked = read_asked(folder)
    own = Asked([query for query in asked.queries if not query.is_drafted], asked.judgements)
    found = draft(corpus, per_page, seed, [query.text for query in own.queries])
    if found.num_without_text == found.num_pages:
        raise DatasetError(
            f"{dataset}: none of its {found.num_pages:,} pages has a text layer; let a program for "
            "OCR, such as ocrmypdf, write one into the PDFs and ingest them again (with --replace, "
            f"also those that an earlier version has ingested), or write {QUESTIONS_FORM}"
        )
    if not found.drafts:
        raise DatasetError(
            f"{dataset}: nothing in the texts of its pages can be asked (drafting is made for "
            f"English prose with headings); write {QUESTIONS_FORM}"
        )
    _write(out, folder, _csv(own, found.drafts))
    told, command = f"wrote {out}: {found.told()}", ingest_command([], dataset, out)
    if own.queries:
        told += f", beside {len(own.queries):,} of its own"
    now = {normalised(one.query) for one in found.drafts}
    if gone := sum(one.is_drafted and normalised(one.text) not in now for one in asked.queries):
        told += f"; {gone:,} of those drafted before will go"
        command += " --replace"
    return [told, f"next: {command}"]


def _opened(dataset: str, folder: str) -> CanonicalDataset:
    if not storage.exists(folder):
        make = ingest_command(["SOURCE"], dataset)
        raise DatasetError(f"{dataset}: no such dataset folder; make it first: {make}")
    done = storage.join(folder, DATASET_DONE)
    if not storage.exists(done) or not takes_questions(storage.read_json(done)):
        raise DatasetError(
            f"{dataset}: is not a dataset that `colintern ingest` has made of PDFs and "
            "pictures; name one, such as data/mine"
        )
    return CanonicalDataset(folder)


def _check_out(out: str, folder: str, *, replace: bool) -> None:
    """Make sure that nothing is lost that somebody has written or edited.

    Raises:
        UserError: something would be, or `ingest` could not read the file by its name.
    """
    if not out.lower().endswith(".csv"):
        raise UserError(f"--out {out}: must end in .csv, as ingest takes no other file for one")
    if replace or not storage.exists(out):
        return
    written = _notes(out).get(posixpath.basename(out), {})
    wrong = (
        "was not written by `colintern questions`"
        if not written
        else "has been edited since it was written"
        if written["sha256"] != storage.sha256_of_file(out)
        else f"is of another dataset, {written['dataset']}"
        if written["dataset"] != storage.real(folder)
        else None
    )
    if wrong:
        raise UserError(f"--out {out}: is there and {wrong}; choose another name, or --replace")


def _write(out: str, folder: str, data: bytes) -> None:
    storage.write_bytes(out, data)
    entry = {"dataset": storage.real(folder), "sha256": storage.sha256_of_bytes(data)}
    storage.write_json(_note_of(out), {**_notes(out), posixpath.basename(out): entry})


def _note_of(out: str) -> str:
    return storage.join(posixpath.dirname(storage.absolute(out)), NOTE)


def _notes(out: str) -> dict[str, Any]:
    path = _note_of(out)
    return storage.read_json(path) if storage.exists(path) else {}


def _csv(own: Asked, drafts: Sequence[Draft]) -> bytes:
    buffer = io.StringIO(newline="")
    columns: list[str] = [*_COLUMNS, *(_OWN_COLUMNS if own.queries else ())]
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_own_rows(own))
    writer.writerows(
        {"query": one.query, "id": one.page_id, "drafted_from": mark(one.kind, one.query)}
        for one in drafts
    )
    return buffer.getvalue().encode()


def _own_rows(own: Asked) -> Iterator[dict[str, Any]]:
    queries = {query.query_id: query for query in own.queries}
    for judged in own.judgements:
        if query := queries.get(judged.query_id):
            yield {
                "query": query.text,
                "id": judged.page_id,
                "language": query.language,
                "source": query.source,
                "score": judged.score,
            }
