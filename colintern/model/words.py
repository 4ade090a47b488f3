"""Which tokens of a query each of its words is."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence


def tokens_of_words(
    query: str, spans: Sequence[tuple[int, int]]
) -> tuple[tuple[int, ...], ...] | None:
    """Of each word of a query, the positions of the tokens that it has a part in.

    A token that reaches over white space is of two words. Of a character that is cut into several
    tokens, all are of that character's word.

    Args:
        query: the text; its words are what white space separates, as in `str.split`.
        spans: of each token where its characters begin and end in the query, in rising order.
            Those of a prefix are not above 0.

    Returns:
        One tuple for each word; None where a word has no token.
    """
    begins, ends = [begin for begin, _ in spans], [end for _, end in spans]
    found, behind = [], 0
    for word in query.split():
        start = query.index(word, behind)
        behind = start + len(word)
        found.append(tuple(range(bisect_right(ends, start), bisect_left(begins, behind))))
    return tuple(found) if all(found) else None
