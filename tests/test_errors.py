"""Errors as people read them."""

import pytest

from colintern.errors import one_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError(), "ValueError"),
        (OSError(" \n "), "OSError"),
        (ValueError("\n one\n\n  two\t three \n"), "one two three"),
    ],
)
def test_an_error_is_one_line_and_never_empty(error, line):
    """An IndexError about an error without a message; a line that ends in nothing."""
    assert one_line(error) == line
