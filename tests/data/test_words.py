"""What a word is, in any language."""

import pytest

from colintern.data.words import words


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Hello, World: 3.5 foo_bar", "hello world 3 5 foo bar"),
        ("Straße ﬁle \uff21\uff22\uff23", "strasse file abc"),  # NFKC and case folding
        ("na\u00efve nai\u0308ve", "na\u00efve na\u00efve"),  # one letter, written in two ways
        ("हिन्दी में", "हिन्दी में"),  # vowel signs are marks, which `\w` leaves out
        ("한국어 문서", "한국어 문서"),
        ("日本語のページ 2024年", "日本 本語 語の のペ ペー ージ 2024 年"),
        ("iPhoneを買う", "iphone を買 買う"),
        ("ภาษา", "ภา าษ ษา"),
        ("中", "中"),
        ("--- \n … !", ""),
    ],
)
def test_words_of_a_text(text, wanted):
    """A language whose words are never found, as they are cut wrong or not at all."""
    assert words(text) == wanted.split()
