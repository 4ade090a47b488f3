"""Which tokens of a query each word is."""

import pytest

from colintern.retrieval.serving.words import tokens_of_words


@pytest.mark.parametrize(
    ("tokens", "query", "prefix", "words"),
    [
        (["Query", ":", " in", "voice", " total"], "invoice total", "Query:", ((2, 3), (4,))),
        (["Query", ":", "Query", " a"], "Query a", "Query:", ((2,), (3,))),
        (["a", " b", "<pad>", "<pad>"], " a\n b ", "", ((0,), (1,))),
        (["▁", "un", "e", "x"], "une x", "", ((1, 2), (3,))),
        (["one", "two"], "one two", "", ((0,), (1,))),
        (["ab", "c d"], "abc d", "", ((0, 1), (1,))),
        (["query", ":", "invoice", "ur", "quhart"], "invoice Urquhart", "Query:", ((2,), (3, 4))),
        (["STRASSE", " b"], "Straße B", "", ((0,), (1,))),
        (["\ufffd", "\ufffd"], "日", "", None),
    ],
)
def test_words_have_their_own_tokens(tokens, query, prefix, words):
    """A heat map of another word than the one that was clicked, or of the prefix, or of none.

    The built-in backbone's tokens are in lower case, whatever was typed.
    """
    assert tokens_of_words(tokens, query, prefix) == words
