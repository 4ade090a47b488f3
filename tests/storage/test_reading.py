"""Ranges, listings, and files that are missing."""

import pytest

from colintern import storage
from colintern.errors import StorageError
from colintern.storage import listing


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


def test_a_file_that_goes_while_its_folder_is_listed_is_left_out(tmp_path, monkeypatch):
    """A run that ends because another one gives back its lease in a store that both read."""
    kept, lease = tmp_path / "a", tmp_path / "lease"
    listed = listing._listed

    def listed_before(*asked):
        found = listed(*asked)
        lease.unlink()
        return found

    kept.write_bytes(b"123")
    lease.write_bytes(b"")
    monkeypatch.setattr(listing, "_listed", listed_before)
    assert [(state.path, state.size) for state in storage.list_states(str(tmp_path))] == [
        (str(kept), 3)
    ]
