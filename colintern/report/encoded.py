"""What was encoded of a dataset, and what was refused, as its feature store tells it."""

import json
from dataclasses import dataclass

from colintern import storage
from colintern.errors import ColInternError
from colintern.features.manifest import num_rows
from colintern.features.store import BAD_PAGES, BAD_QUERIES, PAGES, QUERIES, RECORD, manifests_of
from colintern.records import read_record

_NAMED = 5  # refused pages or questions that are named


@dataclass(frozen=True)
class Refused:
    """Pages or questions that could not be used.

    Attributes:
        what: `page` or `question`.
        num: how many.
        named: the first ones, with their reasons.
    """

    what: str
    num: int
    named: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Encoded:
    """The content of a feature store, as it is now: another run may have added pages to it.

    Attributes:
        num_pages: that have features.
        num_questions: likewise.
        refused: what has none; empty where all have.
    """

    num_pages: int
    num_questions: int
    refused: tuple[Refused, ...]


def read_encoded(store: str) -> Encoded | None:
    """Read the store at a path; None where it is gone. Of its tables only the ends are read."""
    record = read_record(storage.join(store, RECORD))
    if record is None:
        return None
    manifests = manifests_of(record)
    try:
        pages, questions = (
            num_rows(storage.join(store, manifests[part].path)) for part in (PAGES, QUERIES)
        )
    except (ColInternError, KeyError):
        return None  # a report without these numbers is better than none
    lists = ((BAD_PAGES, "page", "page_id"), (BAD_QUERIES, "question", "query_id"))
    refused = (_refused(storage.join(store, file), what, key) for file, what, key in lists)
    return Encoded(pages, questions, tuple(found for found in refused if found.num))


def _refused(path: str, what: str, key: str) -> Refused:
    lines = (storage.read_bytes_if_there(path) or b"").splitlines()
    rows = map(json.loads, lines[:_NAMED])
    return Refused(what, len(lines), tuple((row[key], row["reason"]) for row in rows))
