"""A file is written whole or not at all."""

import errno
import os
import threading

import pytest

from colintern import storage
from colintern.errors import StorageError


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


@pytest.mark.parametrize("where", ["disk", "bucket"])
def test_what_is_written_piece_by_piece_is_there_at_the_end_or_never(tmp_path, request, where):
    """Half a file that is taken for whole, or the old one lost for nothing."""
    root = str(tmp_path) if where == "disk" else request.getfixturevalue("bucket")
    path = f"{root}/pieces/x::y.bin"

    def write(pieces, error=None) -> None:
        with storage.writing(path) as file:
            for piece in pieces:
                file.write(piece)
                assert storage.list_files(f"{root}/pieces") in ([], [path])
            if error:
                raise error

    with pytest.raises(KeyError):
        write([b"a"], KeyError("of the block"))
    assert not storage.exists(path)
    write([b"a" * 6 * 2**20, b"b"])
    assert storage.read_bytes(path, 6 * 2**20 - 1) == b"ab"
    with pytest.raises(OSError, match="of the block"):
        write([b"c"], OSError("of the block"))
    assert storage.size_of(path) == 6 * 2**20 + 1
    assert not list(tmp_path.rglob("*.tmp-*"))


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


def test_a_folder_is_deleted_with_all_that_is_in_it(tmp_path):
    """Files that stay behind, or a neighbour that goes as well."""
    for name in ("a/b", "a/c/d", "ab/kept"):
        storage.write_bytes(str(tmp_path / name), b"")
    storage.delete_folder(str(tmp_path / "a"))
    storage.delete_folder(str(tmp_path / "a"))
    assert storage.find_files(str(tmp_path)) == [str(tmp_path / "ab/kept")]
