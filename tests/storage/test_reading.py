"""Ranges, listings, and files that are missing."""

import pytest

from colintern import storage
from colintern.errors import StorageError


def test_ranges_listings_and_missing_files(tmp_path):
    """A range off by one; an error that does not name the file."""
    path = str(tmp_path / "x.bin")
    storage.write_bytes(path, b"0123456789")
    assert storage.read_bytes(path, 2, 5) == b"234"
    assert storage.list_files(str(tmp_path), ".bin") == [path]
    assert storage.list_files(str(tmp_path / "nowhere")) == []
    assert storage.sha256_of_file(path) == storage.sha256_of_bytes(b"0123456789")
    with pytest.raises(StorageError, match=r"gone\.json"):
        storage.read_json(str(tmp_path / "gone.json"))
