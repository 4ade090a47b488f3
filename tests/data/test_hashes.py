"""Contents decide whether a dataset has changed, and are not read at every start."""

import io
import os
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from colintern import storage
from colintern.data.canonical import CanonicalDataset
from colintern.data.content import DatasetContent
from colintern.data.entities import Page
from colintern.data.hashes import FileHashes
from colintern.data.writing import corpus_table, write_dataset
from colintern.errors import DatasetError, PathError
from tests.helpers import make_corpus


def _bitmap(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (90, 60, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "BMP")
    return buffer.getvalue()


def _write(folder: Path, first: int) -> None:
    """Five pages, whose pictures are of equal size whatever they show."""
    write_dataset(str(folder), [Page(f"p{n}", _bitmap(first + n)) for n in range(5)], [], [])


def _rewrite(folder: Path, first: int) -> None:
    """The same by another program, which keeps everything else as it is."""
    (file,) = (folder / "corpus").iterdir()
    before = os.stat(file)
    table = corpus_table([Page(f"p{n}", _bitmap(first + n)) for n in range(5)])
    pq.write_table(table.cast(pq.read_schema(file)), file, compression="none")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("replace", [_write, _rewrite])
def test_pictures_of_equal_size_are_told_apart(tmp_path, replace):
    """Stale features of pictures that were replaced: same rows, sizes, statistics, footers."""
    _write(tmp_path / "set", 0)
    replace(tmp_path / "set", 0)
    (file,) = (tmp_path / "set" / "corpus").iterdir()
    dataset, size = CanonicalDataset(str(tmp_path / "set")), file.stat().st_size
    content = DatasetContent(dataset.path, str(tmp_path / "memory.json"))
    before, footers = (dataset.content_hash(), content.corpus), dataset.footers_hash()
    content.check_unchanged()
    replace(tmp_path / "set", 100)
    assert file.stat().st_size == size
    assert dataset.footers_hash() == footers  # what was compared before
    now = DatasetContent(dataset.path, str(tmp_path / "memory.json"))
    assert dataset.content_hash() != before[0]
    assert now.corpus != before[1]
    with pytest.raises(DatasetError, match="corpus: the dataset changed while it was encoded"):
        content.check_unchanged()


def test_on_an_object_store_too_and_without_reading_it(tmp_path, bucket, s3_server):
    """A corpus on S3 that is read whole at every start, or whose pictures are not looked at."""
    write_dataset(f"{bucket}/set", [Page(f"p{n}", _bitmap(n)) for n in range(5)], [], [])
    write_dataset(str(tmp_path / "set"), [Page(f"p{n}", _bitmap(n)) for n in range(5)], [], [])
    here = CanonicalDataset(str(tmp_path / "set")).content_hash()
    assert CanonicalDataset(f"{bucket}/set").content_hash() == here  # the bytes, wherever they are
    asked = len(s3_server.asked)
    before = CanonicalDataset(f"{bucket}/set").corpus_hash(FileHashes(trusts_tags=True))
    assert not [path for _, path in s3_server.asked[asked:] if "corpus/" in path]
    assert CanonicalDataset(f"{bucket}/set").corpus_hash(FileHashes(trusts_tags=True)) == before
    write_dataset(f"{bucket}/set", [Page(f"p{n}", _bitmap(9 + n)) for n in range(5)], [], [])
    assert CanonicalDataset(f"{bucket}/set").corpus_hash(FileHashes(trusts_tags=True)) != before


def _count_reads(monkeypatch) -> list[str]:
    """The files that are hashed from now on."""
    read: list[str] = []
    hash_file = storage.sha256_of_file
    monkeypatch.setattr(
        storage, "sha256_of_file", lambda file: read.append(file) or hash_file(file)
    )
    return read


def test_queries_and_qrels_are_read_once_in_a_process(tmp_path, monkeypatch):
    """All questions hashed three times in each stage; or a change under a running driver missed."""
    make_corpus(tmp_path, num_pages=3, num_queries=2)
    later = time.time() + 60  # what was written just now is trusted by then
    monkeypatch.setattr(time, "time", lambda: later)
    read = _count_reads(monkeypatch)
    questions = CanonicalDataset(str(tmp_path)).questions()
    dataset = CanonicalDataset(str(tmp_path), questions)
    dataset.queries()
    dataset.judgements()
    dataset.check_questions()
    assert sorted(read) == sorted([*dataset.query_files, *dataset.qrels_files])
    file = Path(dataset.query_files[0])
    before, data = os.stat(file), file.read_bytes()
    file.write_bytes(data.replace(b"PAR1", b"PAR2"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # as long and as old as it was
    with pytest.raises(DatasetError, match=r"queries/.*: has changed since this run began"):
        dataset.check_questions()
    file.unlink()
    with pytest.raises(PathError, match="no such file"):
        dataset.check_questions()


def test_a_file_is_read_once(tmp_path, monkeypatch):
    """A terabyte hashed at every start; a changed file that is taken for what it was."""
    path, memory = tmp_path / "a.parquet", str(tmp_path / "memory.json")
    path.write_bytes(b"first")
    read = _count_reads(monkeypatch)

    def held() -> str:
        return FileHashes(memory).of(storage.list_states(str(tmp_path), ".parquet"))[0]

    first = held()
    assert held() == first
    assert len(read) == 2  # it might have been written again within a tick of the clock
    later = time.time() + 60
    monkeypatch.setattr(time, "time", lambda: later)
    assert [held(), held(), held()] == [first] * 3
    assert len(read) == 3
    os.utime(path)  # as by a copy: read again, and found the same
    assert held() == first
    assert len(read) == 4
    path.write_bytes(b"other")
    assert held() != first
