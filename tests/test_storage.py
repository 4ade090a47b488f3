"""Whole or not at all."""

import errno
import os
import threading

import pytest

from colintern import storage
from colintern.errors import PathError, StorageError


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path, monkeypatch):
    """Half a file after a crash, or temporary files that are taken for shards."""
    path = str(tmp_path / "a" / "file.json")
    storage.write_json(path, {"old": True})

    def fail(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(StorageError, match=f"{path}: .*No space left.*; free some space") as caught:
        storage.write_json(path, {"new": True})
    assert caught.value.exit_code == 1  # no mistake of the user's
    assert storage.read_json(path) == {"old": True}
    assert storage.list_files(str(tmp_path / "a")) == [path]


def test_of_many_creators_one_wins(tmp_path):
    """Two drivers that both believe to hold the lease."""
    path = str(tmp_path / "lease")
    won = []

    def create(number):
        if storage.create_exclusively(path, str(number).encode()):
            won.append(number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert storage.read_bytes(path) == str(won[0]).encode()


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


def test_a_folder_is_deleted_with_all_that_is_in_it(tmp_path):
    """Files that stay behind, or a neighbour that goes as well."""
    for name in ("a/b", "a/c/d", "ab/kept"):
        storage.write_bytes(str(tmp_path / name), b"")
    storage.delete_folder(str(tmp_path / "a"))
    storage.delete_folder(str(tmp_path / "a"))
    assert storage.find_files(str(tmp_path)) == [str(tmp_path / "ab/kept")]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("{folder}/gone.json", "no such file or folder"),
        ("{folder}", "Is a directory"),
        ("{folder}/file/x", "Not a directory"),
        ("{folder}/" + 300 * "x", "File name too long"),
        ("nowhere://bucket/x", "Protocol not known"),
        ("gs://bucket/x", "install gcsfs"),
    ],
)
def test_a_wrong_path_is_the_users_mistake(tmp_path, path, words):
    """A traceback, or a typing error that looks like a failure to be tried again."""
    (tmp_path / "file").write_text("")
    path = path.format(folder=tmp_path)
    with pytest.raises(PathError, match=f"{path}: .*{words}") as caught:
        storage.read_bytes(path)
    assert caught.value.exit_code == 2
