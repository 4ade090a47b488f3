"""How a question file says that nobody has asked a question: `colintern questions` has drafted it.

The mark knows the words that were drafted. A question that somebody has written anew since is
theirs, also if the mark still stands beside it.
"""

import hashlib

from colintern.data.text import normalised

DRAFTED = "drafted from "  # how the source of a drafted query begins
_DIGITS = 8


def mark(kind: str, question: str) -> str:
    """What stands in the column `drafted_from`: `heading 3f9a01c7`.

    Args:
        kind: what of a page was drafted from.
        question: as it was drafted.
    """
    return f"{kind} {_hash_of(question)}"


def source_of(found: str, question: str) -> str | None:
    """The source of a question with a mark: `drafted from heading`; None if it was changed since.

    Args:
        found: the mark; an older one without the hash is taken at its word.
        question: as it is now.
    """
    kind, _, written = found.strip().partition(" ")
    return DRAFTED + kind if written in ("", _hash_of(question)) else None


def _hash_of(question: str) -> str:
    return hashlib.sha256(normalised(question).encode()).hexdigest()[:_DIGITS]
