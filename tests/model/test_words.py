"""Which tokens of a query each word is."""

import pytest

from colintern.config.schema import BackboneConfig
from colintern.model.backbone import read_processor
from colintern.model.words import tokens_of_words


@pytest.mark.parametrize(
    ("query", "spans", "words"),
    [
        ("a bc", [(-7, -2), (-2, 0), (0, 1), (2, 3), (3, 4)], ((2,), (3, 4))),  # behind a prefix
        (" a\n b ", [(0, 2), (3, 5), (5, 6)], ((0,), (1,))),
        ("abc d", [(0, 2), (2, 5)], ((0, 1), (1,))),  # over white space
        ("the the", [(0, 3), (3, 7)], ((0,), (1,))),
        ("日 本", [(0, 1), (0, 1), (2, 3), (2, 3)], ((0, 1), (2, 3))),
        ("a \u200b b", [(0, 1), (4, 5)], None),
        ("", [(-2, 0)], ()),
    ],
)
def test_words_have_their_own_tokens(query, spans, words):
    """A heat map of another word than the one that was clicked, or of the prefix, or of none."""
    assert tokens_of_words(query, spans) == words


@pytest.mark.parametrize("prefix", ["Query: ", "", "é"])
def test_characters_in_capitals_or_in_parts_are_found_in_the_query(prefix):
    """No heat map after the first accent; the built-in tokens are in lower case, and in bytes."""
    config = BackboneConfig(path="reader", query_prefix=prefix, query_augmentation_tokens=2)
    processor = read_processor(config)
    query = "find  Urquhart, é 日本 語 😀x\nSTRASSE e\u0301te query: <img>"
    texts, words = processor.query_token_texts(query), processor.query_words(query)
    assert words is not None
    joined = ["".join(texts[token] for token in own).strip() for own in words]
    assert len(joined) == len(query.split())
    assert joined[:2] == ["find", "urquhart,"]
    assert joined[6:] == ["strasse", "\ufffd\ufffdte", "query:", "<img>"]
    assert [len(own) for own in words[2:6]] == [2, 6, 3, 5]
    everything = [token for own in words for token in own]
    behind = len(processor.query_tokens("")) - 2
    assert everything == list(range(behind, len(texts) - 2))
