"""What an error says, and whose mistake it is."""

import pytest

from colintern import errors
from colintern.errors import PathError, TooManyBadPagesError, one_line


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("first line\n    second   line"), "first line second line"),
        (KeyError(), "KeyError"),
        (OSError("\n"), "OSError"),
    ],
)
def test_an_error_is_told_on_one_line(error, words):
    """Two lines in a log that programs read by lines, or a line that ends with `()`."""
    assert one_line(error) == words


def test_mistakes_of_the_user_exit_with_2_and_failures_with_1():
    """A job that is submitted again and again for a wrong path, or never after a full disk."""
    codes = {
        name: kind.exit_code
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.ColInternError)
    }
    failures = {name for name, code in codes.items() if code == 1}
    assert failures == {
        "BusyError",
        "ColInternError",
        "DamagedShardError",
        "LeaseLostError",
        "NonFiniteError",
        "StorageError",
        "TooManyBadPagesError",
    }
    assert {code for name, code in codes.items() if name not in failures} == {2}
    assert issubclass(PathError, errors.StorageError)  # so whoever catches failures sees it too
    assert not issubclass(TooManyBadPagesError, errors.UserError)
