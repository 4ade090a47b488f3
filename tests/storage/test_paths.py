"""Names of files and folders may hold anything."""

from pathlib import Path

import pytest

from colintern import storage
from colintern.data.canonical import CanonicalDataset, iterate_pages
from tests.helpers import make_corpus

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
    pieces = [storage.Piece(path, 0, 1), storage.Piece(path, 8, 10)]
    assert storage.read_pieces(pieces) == [b"0", b"89"]
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
