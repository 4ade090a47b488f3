"""What a person is told about a dataset that has pages and no questions."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

QUESTIONS_FORM = (
    "a CSV file with the columns query,file,page and a row for each question and page that "
    "answers it"
)


_DRAWING = {"dpi": 144, "max_pixels": 20_000_000}  # options of `ingest`, with their defaults


def ingest_command(
    sources: Sequence[str], out: str, questions: str, drawn: Mapping[str, Any] | None = None
) -> str:
    """The `colintern ingest` that makes a dataset, to be pasted into a shell.

    Args:
        sources: PDFs, pictures and folders of them.
        out: the dataset.
        questions: the file of them.
        drawn: `settings` of its `dataset.json`; None if nothing is drawn yet.
    """
    options = [
        word
        for key, default in _DRAWING.items()
        if (value := (drawn or {}).get(key, default)) != default
        for word in (f"--{key.replace('_', '-')}", str(value))
    ]
    return shlex.join(
        ["colintern", "ingest", *sources, "--out", out, *options, "--queries", questions]
    )


def takes_questions(done: Mapping[str, Any]) -> bool:
    """Whether a dataset, by its `dataset.json`, was made of PDFs and pictures, and not copied."""
    return "dpi" in done.get("settings", {})


def how_to_ask(folder: str, begun: Mapping[str, Any], done: Mapping[str, Any]) -> str | None:
    """How questions are added to a dataset folder that `ingest` has made.

    Args:
        folder: the dataset.
        begun: its `ingest.json`.
        done: its `dataset.json`.

    Returns:
        A sentence; None for a copy of another dataset, whose questions are its own.
    """
    if not takes_questions(done):
        return None
    command = ingest_command(begun.get("sources", []), folder, "questions.csv", done["settings"])
    return f"write {QUESTIONS_FORM}, and run the same ingest again with it: {command}"
