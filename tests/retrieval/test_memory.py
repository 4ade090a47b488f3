"""Sizes as people write them, and what a machine has free."""

import pytest

from colintern.errors import UserError
from colintern.retrieval import memory
from colintern.retrieval.memory import default_memory, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8GB", 8 * 10**9),
        ("1.5 tb", 15 * 10**11),
        ("512MiB", 512 * 2**20),
        ("4096", 4_096),
        ("0B", 0),
        ("2k", 2_000),
    ],
)
def test_sizes(text, size):
    """A thousand times too much memory, or 7 % more than the machine has."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "8 GBs", "-1GB", "1e9", "8iB", "many"])
def test_what_is_no_size_is_refused(text):
    """A ValueError, or a bound of nothing."""
    with pytest.raises(UserError, match="is not a size; write one as 8GB"):
        parse_size(text)


def test_the_limit_of_a_container_counts(tmp_path, monkeypatch):
    """Half of the machine's memory in a container that is killed for a tenth of it."""
    assert default_memory() > 10**8
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("400000\n")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert default_memory() == 300_000
    (tmp_path / "memory.max").write_text("max\n")
    assert default_memory() > 10**8
