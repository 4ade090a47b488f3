"""When two query texts are the same question, and which texts are no question."""

import unicodedata

MAX_QUERY_CHARACTERS = 8_192  # some four pages of print: more is a document, not a query


def normalised(text: str) -> str:
    """`text` in the form in which equal queries are equal: NFC, stripped, case folded."""
    return unicodedata.normalize("NFC", text).strip().casefold()


def query_problem(text: str | None) -> str | None:
    """Why `text` cannot be asked, in a few words; None when it can."""
    if text is None or not text.strip():
        return "empty query"
    if len(text) > MAX_QUERY_CHARACTERS:
        return f"query of {len(text):,} characters; the limit is {MAX_QUERY_CHARACTERS:,}"
    return None
