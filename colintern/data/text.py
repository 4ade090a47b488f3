"""When two texts are equal, and which texts are bad queries or bad ids."""

import re
import unicodedata
from collections.abc import Sequence

from colintern.errors import UserError

MAX_QUERY_CHARACTERS = 8_192  # about four printed pages: more is a document, not a query
# Python's stand-in for bytes of a command line that are not UTF-8.
_SURROGATE = re.compile("[\ud800-\udfff]")
# NUL ends a text in C code (the metrics use some); a line break or tab ends it in text files.
_NO_PART_OF_AN_ID = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def normalised(text: str) -> str:
    """`text` as queries are compared: NFC, stripped, case folded."""
    return unicodedata.normalize("NFC", text).strip().casefold()


def bad_query_reason(text: str | None) -> str | None:
    """Why `text` cannot be asked, in a few words; None when it can."""
    if text is None or not text.strip():
        return "empty query"
    if _SURROGATE.search(text):
        return "query with bytes that are not UTF-8"
    if len(text) > MAX_QUERY_CHARACTERS:
        return f"query of {len(text):,} characters; the limit is {MAX_QUERY_CHARACTERS:,}"
    return None


def check_query(text: str, called: str) -> None:
    """Make sure that a text can be asked, as the queries of a dataset can.

    Args:
        text: the query.
        called: what it is called in the message.

    Raises:
        UserError: it is empty, too long, or not text.
    """
    if reason := bad_query_reason(text):
        raise UserError(f"{called}: {reason}; ask in a few words")


def check_queries(texts: Sequence[str]) -> None:
    """Make sure that each of several texts can be asked.

    Raises:
        UserError: one cannot; it is named by its number, from 1 on.
        TypeError: one text is given, whose characters would be asked one by one.
    """
    if isinstance(texts, str):
        raise TypeError("queries: must be a list of texts, not one text")
    for number, text in enumerate(texts, start=1):
        check_query(text, f"query {number}")


def bad_id_reason(text: str) -> str | None:
    """Why `text` cannot be the id of a page, query or document; None when it can."""
    found = _NO_PART_OF_AN_ID.search(text)
    return f"the control character {ascii(found[0])[1:-1]}" if found else None


def without_controls(text: str) -> str:
    """`text` without the characters that an id cannot have."""
    return _NO_PART_OF_AN_ID.sub("", text)


def same_name(text: str) -> str:
    """`text` as file names are compared, whatever system wrote them: NFC."""
    return unicodedata.normalize("NFC", text)
