"""What a person is told about a dataset that has pages and no questions."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

QUESTIONS_FORM = (
    "a CSV file with the columns query,file,page and a row for each question and page that "
    "answers it"
)


def ingest_command(sources: Sequence[str], out: str, questions: str | None = None) -> str:
    """The `colintern ingest` that makes a dataset, to be pasted into a shell.

    Args:
        sources: PDFs, pictures and folders of them; none to add questions to what is there.
        out: the dataset.
        questions: the file of them, if there is one.
    """
    asked = ["--queries", questions] if questions else []
    return shlex.join(["colintern", "ingest", *sources, "--out", out, *asked])


def questions_command(folder: str, file: str) -> str:
    """The `colintern questions` that drafts a file of questions, to be pasted into a shell."""
    return shlex.join(["colintern", "questions", folder, "--out", file])


def takes_questions(done: Mapping[str, Any]) -> bool:
    """Whether a dataset, by its `dataset.json`, was made of PDFs and pictures, and not copied."""
    return "dpi" in done.get("settings", {})


def has_text(done: Mapping[str, Any]) -> bool:
    """Whether a page of a dataset, by its `dataset.json`, has text to draft questions from."""
    return done.get("without_text", 0) < done.get("pages_of_pdfs", 1)


def how_to_ask(folder: str, done: Mapping[str, Any]) -> str | None:
    """How questions are added to a dataset folder that `ingest` has made.

    Args:
        folder: the dataset.
        done: its `dataset.json`.

    Returns:
        A sentence; None for a copy of another dataset, whose questions are its own.
    """
    if not takes_questions(done):
        return None
    draft = questions_command(folder, "questions.csv")
    drafted = f", or have it drafted from their text ({draft})" if has_text(done) else ""
    command = ingest_command([], folder, "questions.csv")
    return f"write {QUESTIONS_FORM}{drafted}, and run: {command}"
