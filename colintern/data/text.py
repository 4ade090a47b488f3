"""When two query texts are the same question."""

import unicodedata


def normalised(text: str) -> str:
    """`text` in the form in which equal queries are equal: NFC, stripped, case folded."""
    return unicodedata.normalize("NFC", text).strip().casefold()
