"""Whole or not at all."""

import errno
import os
import threading
from pathlib import Path

import pytest

from colintern import storage
from colintern.data.canonical import CanonicalDataset, iterate_pages
from colintern.errors import PathError, StorageError, one_line
from tests.helpers import make_corpus


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


_NAMES = ("a::b/c.bin", "a/x::y.bin", "::", "s3::c/d#?[1]*.bin", "a/ü %20.bin")
_NAMES_ON_S3 = ("a//b.bin", "a///b//c.bin", "/c.bin", "a/x::y//z::.bin")


@pytest.mark.parametrize(
    ("where", "name"),
    [("disk", name) for name in _NAMES] + [("s3", name) for name in (*_NAMES, *_NAMES_ON_S3)],
)
def test_names_may_hold_anything(tmp_path, request, where, name):
    """'::' taken for a chain of URLs: a file that does not exist, a TypeError; slashes that go."""
    root = str(tmp_path) if where == "disk" else request.getfixturevalue("bucket")
    path = f"{root}/{name}"
    folder = path.rpartition("/")[0]
    assert not storage.exists(path)
    assert storage.create_exclusively(path, b"0123")
    assert not storage.create_exclusively(path, b"0123456789")
    storage.write_bytes(path, b"0123456789")
    assert storage.exists(path)
    assert storage.read_bytes(path) == storage.read_bytes_if_there(path) == b"0123456789"
    assert storage.read_bytes(path, 2, 5) == b"234"
    assert storage.read_ranges(path, [(0, 1), (8, 10)]) == [b"0", b"89"]
    with storage.open_file(path) as file:
        assert file.read() == b"0123456789"
    assert storage.size_of(path) == 10
    assert storage.version_of(path).startswith("10 ")
    assert storage.modified_at(path) > 0
    assert storage.sha256_of_file(path) == storage.sha256_of_bytes(b"0123456789")
    assert storage.find_files(root) == storage.find_files(path) == [path]
    if not folder.endswith("/"):  # such a folder has no name that can be asked for
        assert storage.list_files(folder) == storage.find_files(folder, name[-1]) == [path]
    first = name.partition("/")[0]
    assert storage.list_folders(root) == ([first] if "/" in name and first else [])
    assert storage.update(path, b"9876543210", lambda content: content == b"0123456789")
    assert storage.read_bytes(path) == b"9876543210"
    storage.delete(path)
    assert not storage.exists(path)
    assert storage.find_files(root) == []


@pytest.mark.parametrize("where", ["disk", "s3"])
def test_a_dataset_may_stand_in_a_folder_of_any_name(tmp_path, request, where):
    """Parquet files that are opened by another way than the rest, which does not find them."""
    corpus = make_corpus(tmp_path / "a::b", num_pages=2, num_queries=2)
    root = corpus.path
    if where == "s3":
        root = f"{request.getfixturevalue('bucket')}/x::y//{tmp_path.name}"
        for path in Path(corpus.path).rglob("*.parquet"):
            name = path.relative_to(corpus.path).as_posix()
            storage.write_bytes(f"{root}/{name}", path.read_bytes())
    dataset = CanonicalDataset(root)
    dataset.check()
    assert dataset.content_hash() == CanonicalDataset(corpus.path).content_hash()
    assert [page for file in dataset.corpus_files for _, page in iterate_pages(file)] == [
        page
        for file in CanonicalDataset(corpus.path).corpus_files
        for _, page in iterate_pages(file)
    ]


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
