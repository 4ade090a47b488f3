"""Which tokens of a query each of its words is."""

from collections.abc import Sequence


def tokens_of_words(
    tokens: Sequence[str], query: str, prefix: str
) -> tuple[tuple[int, ...], ...] | None:
    """Of each word of a query, the positions of the tokens that it has a part in.

    Texts are compared without white space and in lower case: tokenizers treat both in different
    ways.

    Args:
        tokens: what each token stands for: prefix, text, augmentation.
        query: the text; its words are what white space separates.
        prefix: `backbone.query_prefix`.

    Returns:
        One tuple for each word; None where the query cannot be found in the tokens: a character
        that is cut into several tokens is none in any of them.
    """
    texts = [_plain(token) for token in tokens]
    owner_of_characters = [number for number, text in enumerate(texts) for _ in text]
    begin = "".join(texts).find(_plain(query), len(_plain(prefix)))
    if begin < 0:
        return None
    found = []
    for word in map(_plain, query.split()):
        end = begin + len(word)
        found.append(tuple(dict.fromkeys(owner_of_characters[begin:end])))
        begin = end
    return tuple(found)


def _plain(text: str) -> str:
    return "".join(text.split()).casefold()
