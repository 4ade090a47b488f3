"""When two query texts are the same question, and which texts are no question."""

import re
import unicodedata

MAX_QUERY_CHARACTERS = 8_192  # some four pages of print: more is a document, not a query
_SURROGATE = re.compile(
    "[\ud800-\udfff]"
)  # how Python shows bytes of a command line that are no text


def normalised(text: str) -> str:
    """`text` in the form in which equal queries are equal: NFC, stripped, case folded."""
    return unicodedata.normalize("NFC", text).strip().casefold()


def query_problem(text: str | None) -> str | None:
    """Why `text` cannot be asked, in a few words; None when it can."""
    if text is None or not text.strip():
        return "empty query"
    if _SURROGATE.search(text):
        return "query with bytes that are not UTF-8"
    if len(text) > MAX_QUERY_CHARACTERS:
        return f"query of {len(text):,} characters; the limit is {MAX_QUERY_CHARACTERS:,}"
    return None
