"""The text of pages, where a corpus tells it: for baselines that read. No model of ours sees it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from colintern.data.parquet import stream_rows

TEXT_COLUMNS = ("text", "markdown")  # what `ingest` writes, and ViDoRe v3's


def text_of(row: Mapping[str, Any]) -> str | None:
    """The text of a page in a row of a corpus; None where there is none, or only white space."""
    values = (row.get(column) for column in TEXT_COLUMNS)
    return next((text for text in values if isinstance(text, str) and text.strip()), None)


def page_texts(files: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Page id and text of every row of corpus files, in their order; no image is read."""
    for row in stream_rows(files, ["corpus-id"], TEXT_COLUMNS):
        yield str(row["corpus-id"]), text_of(row)
