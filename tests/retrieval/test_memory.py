"""Sizes as people write them, and what a machine has free."""

from pathlib import Path

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


def _limit(folder: Path, limit: object, used: int, unread: int, version: int) -> None:
    """The files of a control group of a version."""
    names = ("max", "current") if version == 2 else ("limit_in_bytes", "usage_in_bytes")
    folder.mkdir(exist_ok=True)
    for name, number in zip(names, (limit, used), strict=True):
        (folder / f"memory.{name}").write_text(f"{number}\n")
    key = "inactive_file" if version == 2 else "total_inactive_file"
    (folder / "memory.stat").write_text(f"cache {used // 2}\n{key} {unread}\n")


@pytest.mark.parametrize(("version", "inner"), [(2, ""), (1, "memory")])
def test_the_limit_of_a_container_counts(tmp_path, monkeypatch, version, inner):
    """Half of the machine's memory in a container that is killed for a tenth of it."""
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    _limit(tmp_path / inner, 1_000_000, 400_000, 0, version)
    assert default_memory() == 300_000
    _limit(tmp_path / inner, "max" if version == 2 else 2**63 - 4_096, 400_000, 0, version)
    assert default_memory() > 10**8


@pytest.mark.parametrize(("version", "inner"), [(2, ""), (1, "memory")])
def test_files_that_were_read_take_no_memory(tmp_path, monkeypatch, version, inner):
    """Nothing free in a pod that has just read its features: all of it is the system's cache."""
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    _limit(tmp_path / inner, 1_000_000, 990_000, 790_000, version)
    assert default_memory() == 400_000


def test_the_memory_of_a_gpu_counts(monkeypatch):
    """Half of a large machine's memory, to be put on a small GPU."""
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (3_000, 24 * 10**9))
    assert default_memory("cuda") == 1_500
    assert default_memory("cpu") > 10**8
