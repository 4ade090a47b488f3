"""Datasets, stores, runs and leases on S3: a server of our own, which also fails now and then."""

import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import boto3
import numpy as np
import pytest
import torch

from colintern import storage
from colintern.config.files import parse_config
from colintern.data.canonical import CanonicalDataset, iterate_pages
from colintern.errors import LeaseHeldError, PathError, StorageError
from colintern.features.store import FeatureStore
from colintern.ingestion import IngestSettings, ingest
from colintern.ingestion.pool import Processes
from colintern.records import lease
from colintern.runs import loop
from colintern.runs.local import LocalWorkers
from tests.helpers import make_corpus, png
from tests.local_run import search
from tests.s3_server import CONFLICT, DENIED


def _upload(folder: Path, url: str) -> None:
    for path in sorted(folder.rglob("*.parquet")):
        storage.write_bytes(f"{url}/{path.relative_to(folder).as_posix()}", path.read_bytes())


def test_files_on_s3(bucket):
    """A file system call that only works on disks."""
    path = f"{bucket}/a/b.bin"
    assert not storage.exists(path)
    storage.write_bytes(path, b"0123456789")
    assert storage.read_bytes(path) == b"0123456789"
    assert storage.read_bytes(path, 2, 5) == b"234"
    assert storage.size_of(path) == 10
    storage.write_bytes(path, b"new")
    assert storage.read_bytes(path) == b"new"
    assert storage.list_files(f"{bucket}/a") == [path]
    assert storage.list_folders(bucket) == ["a"]
    assert storage.find_files(bucket, ".bin") == [path]
    (state,) = storage.find_states(bucket)
    assert (state.path, state.size, state.names_content) == (path, 3, True)
    assert storage.find_states(f"{bucket}/gone") == []
    assert storage.sha256_of_file(path) == storage.sha256_of_bytes(b"new")
    storage.delete(path)
    storage.delete(path)
    assert not storage.exists(path)
    assert storage.list_files(f"{bucket}/a") == storage.find_files(f"{bucket}/a") == []
    for name in ("a/b.bin", "a/c/d.bin", "ab/kept"):
        storage.write_bytes(f"{bucket}/{name}", b"")
    storage.delete_folder(f"{bucket}/a")
    storage.delete_folder(f"{bucket}/a")
    assert storage.find_files(bucket) == [f"{bucket}/ab/kept"]


def test_of_several_writers_one_creates(bucket):
    """Two drivers that both believe to hold the lease."""
    path, made = f"{bucket}/only", []

    def create(number: int) -> None:
        made.append(storage.create_exclusively(path, str(number).encode()))

    threads = [threading.Thread(target=create, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False] * 5 + [True]


def test_a_lease_on_s3_keeps_a_second_driver_out(bucket):
    """A lease that needs a local disk."""
    refused = pytest.raises(LeaseHeldError)
    with lease.held(f"{bucket}/run", wait=False), refused, lease.held(f"{bucket}/run", wait=False):
        pass
    with lease.held(f"{bucket}/run", wait=False):
        pass


def test_what_another_process_wrote_is_seen(bucket, s3_server):
    """A file of a worker that the driver does not find, because it listed the folder before."""
    path = f"{bucket}/a/heads"
    storage.write_bytes(f"{bucket}/a/other", b"1")
    assert len(storage.list_files(f"{bucket}/a")) == 1
    client = boto3.client("s3", endpoint_url=s3_server.environment["AWS_ENDPOINT_URL"])
    client.put_object(Bucket=bucket.removeprefix("s3://"), Key="a/heads", Body=b"data")
    assert storage.size_of(path) == 4
    assert storage.list_files(f"{bucket}/a")[0] == path
    client.put_object(Bucket=bucket.removeprefix("s3://"), Key="a/heads", Body=b"longer")
    assert storage.size_of(path) == 6
    assert storage.version_of(path).startswith("6 ")
    assert storage.read_bytes(path) == b"longer"


def test_a_batch_of_features_takes_few_requests(bucket, s3_server, corpus):
    """A training step that asks the object store once for every page and query."""
    for path in sorted(Path(corpus.store).rglob("*")):
        if path.is_file():
            name = path.relative_to(corpus.store).as_posix()
            storage.write_bytes(f"{bucket}/store/{name}", path.read_bytes())
    here, there = FeatureStore(corpus.store), FeatureStore(f"{bucket}/store")
    order = [number * 7 % 40 for number in range(40)] + [3]
    there.pages.read(order[:1])  # the shard's header
    s3_server.asked.clear()
    (found, lengths), (expected, same) = there.pages.read(order), here.pages.read(order)
    assert len(s3_server.asked) == 1
    assert lengths == same
    assert torch.equal(found.decoded(), expected.decoded())


def test_only_ranges_near_each_other_are_read_together(bucket, s3_server):
    """A whole shard fetched for its first and last item, or all of it in memory twice."""
    data = np.random.default_rng(0).bytes(20 * 2**20)
    path = f"{bucket}/big"
    storage.write_bytes(path, data)
    for ranges, num_requests in (
        ([(19 * 2**20, 19 * 2**20 + 5), (7, 9)], 2),  # far apart
        ([(7, 9), (2**20, 2**20 + 5)], 1),  # near
        ([(start, start + 2**20) for start in range(0, 20 * 2**20, 2**20)], 2),  # too much for one
        ([(0, 20 * 2**20)], 1),  # one item is never cut
        ([], 0),
    ):
        s3_server.asked.clear()
        pieces = [storage.Piece(path, start, end) for start, end in ranges]
        assert storage.read_pieces(pieces) == [data[start:end] for start, end in ranges]
        assert len(s3_server.asked) == num_requests, ranges


def test_errors_name_the_path_and_the_remedy(bucket, s3_server):
    """A traceback from inside of botocore."""
    missing = "s3://no-such-bucket-here/x"
    with pytest.raises(PathError, match=f"{missing}: no such file, folder or bucket"):
        storage.read_bytes(missing)
    with pytest.raises(PathError, match=f"{missing}: no such file, folder or bucket"):
        storage.write_bytes(missing, b"data")
    denied = s3_server.failing(every=1, answer=DENIED)
    refused = pytest.raises(PathError, match=f"{bucket}/x: access denied; check")
    with denied, refused:
        storage.write_bytes(f"{bucket}/x", b"data")


def test_failing_requests_are_tried_again(bucket, s3_server):
    """One hiccup of the store that loses a write, or writes it twice under two names."""
    with s3_server.failing(every=3):
        for number in range(12):
            storage.write_bytes(f"{bucket}/n/{number:02d}", str(number).encode())
        assert storage.create_exclusively(f"{bucket}/n/only", b"1")
        names = storage.list_files(f"{bucket}/n")
        found = [storage.read_bytes(name) for name in names[:12]]
    assert s3_server.failed > 8
    assert found == [str(number).encode() for number in range(12)]
    assert names[12:] == [f"{bucket}/n/only"]


def test_a_store_that_always_fails_is_an_error_in_the_end(bucket, s3_server, monkeypatch):
    """A run that hangs for ever on a store that is down."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    path = f"{bucket}/x"
    with s3_server.failing(every=1), pytest.raises(StorageError, match=path) as caught:
        storage.write_bytes(path, b"data")
    assert caught.value.exit_code == 1  # no mistake of the user's
    assert not storage.exists(path)


def test_a_conflict_of_two_creations_is_tried_again(bucket, s3_server):
    """A driver that fails because another one asked for the same lease in the same moment."""
    path, refused = f"{bucket}/only", iter((True, True))
    with s3_server.failing(1, answer=CONFLICT, only=lambda method, _: next(refused, False)):
        assert storage.create_exclusively(path, b"mine")
    assert s3_server.failed == 2
    assert storage.read_bytes(path) == b"mine"
    assert not storage.create_exclusively(path, b"other")


def test_a_store_that_fails_costs_no_page(bucket, s3_server, monkeypatch, tmp_path):
    """Good pages that are listed as bad ones, for good, because the store was down for a minute."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    storage.write_bytes(f"{bucket}/in/1.png", png(1))
    settings = IngestSettings(num_processes=1)
    is_file = re.compile("versionId|^$").search
    down = s3_server.failing(1, only=lambda method, query: method == "GET" and is_file(query))
    with down, pytest.raises(StorageError, match=r"in/1\.png: cannot be read") as caught:
        ingest([f"{bucket}/in"], str(tmp_path / "out"), settings)
    assert caught.value.exit_code == 1
    assert ingest([f"{bucket}/in"], str(tmp_path / "out"), settings).pages == 1


_LARGE = 101 * 2**20  # is sent in parts; what is smaller, in one request


@pytest.mark.parametrize("size", [5, _LARGE])
def test_a_write_whose_answer_is_lost_is_written_once(bucket, s3_server, size):
    """A shard that is there, and a driver that fails because it believes it is not."""
    path, data = f"{bucket}/a/x", bytes(size)
    with s3_server.losing(lambda method, query: method != "GET" and "uploads" not in query):
        storage.write_bytes(path, data)
    assert s3_server.lost == 1
    assert storage.list_files(f"{bucket}/a") == [path]
    assert storage.read_bytes(path) == data


def test_the_end_of_a_large_write_whose_answer_is_lost(bucket, s3_server):
    """A file whose parts were put together, and a second request to do it that is refused."""
    path, data = f"{bucket}/a/x", bytes(_LARGE)
    with s3_server.losing(lambda method, query: method == "POST" and "uploadId" in query):
        storage.write_bytes(path, data)
    assert s3_server.lost == 1
    assert storage.read_bytes(path) == data


def test_a_creation_whose_answer_is_lost_is_ours(bucket, s3_server):
    """A driver that is kept out by its own lease; or two that both get one."""
    path = f"{bucket}/only"
    with s3_server.losing(lambda method, _: method == "PUT"):
        assert storage.create_exclusively(path, b"mine")
    assert s3_server.lost == 1
    assert storage.read_bytes(path) == b"mine"
    assert not storage.create_exclusively(path, b"other")
    with s3_server.losing(lambda method, _: method == "PUT"):
        assert not storage.create_exclusively(path, b"other")
    assert storage.read_bytes(path) == b"mine"
    with s3_server.losing(lambda method, _: method == "PUT"), lease.held(bucket, wait=False):
        refused = pytest.raises(LeaseHeldError)
        with refused, lease.held(bucket, wait=False):
            pass
    assert storage.list_files(bucket) == [path]


@pytest.mark.parametrize("size", [5 * 2**20, _LARGE])
def test_an_upload_that_fails_leaves_no_half_file(bucket, s3_server, size):
    """Half a shard that the next start takes for a whole one."""
    path = f"{bucket}/a/shard-0.safetensors"

    def is_late(method: str, query: str) -> bool:
        return method == "PUT" and (size < _LARGE or "partNumber=2" in query)

    for before in (None, b"whole"):
        if before:
            storage.write_bytes(path, before)
        failing = s3_server.failing(1, answer=DENIED, only=is_late)
        with failing, pytest.raises(StorageError, match=path):
            storage.write_bytes(path, bytes(size))
        assert s3_server.failed
        assert storage.list_files(f"{bucket}/a") == ([path] if before else [])
        assert not before or storage.read_bytes(path) == before


_UPLOAD = """
import sys
from colintern import storage
storage.write_bytes(sys.argv[1], bytes(int(sys.argv[2])))
"""


@pytest.mark.parametrize("size", [5 * 2**20, _LARGE])
def test_a_process_killed_in_an_upload_leaves_no_half_file(bucket, s3_server, size):
    """Half a shard that the next start takes for a whole one."""
    path = f"{bucket}/a/shard-0.safetensors"
    reached, killed = threading.Event(), threading.Event()

    def stop_late(method: str, query: str) -> None:
        if method == "PUT" and (size < _LARGE or "partNumber=2" in query):
            reached.set()
            assert killed.wait(60)

    with s3_server.before(stop_late):
        child = subprocess.Popen([sys.executable, "-c", _UPLOAD, path, str(size)])
        assert reached.wait(60)
        child.kill()
        child.wait()
        killed.set()
    assert storage.list_files(f"{bucket}/a") == []
    storage.write_bytes(path, b"whole")
    assert storage.read_bytes(path) == b"whole"


def test_what_waits_for_its_upload_has_no_name(bucket, tmp_path, monkeypatch):
    """Parts of 256 MB left in the temporary folder by each worker that is killed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    data = bytes(range(256)) * 4096
    with storage.writing(f"{bucket}/a/part.parquet") as file:
        file.write(data)
        file.flush()
        assert list(tmp_path.iterdir()) == []
    assert storage.read_bytes(f"{bucket}/a/part.parquet") == data


def test_ingest_from_s3_to_s3(bucket):
    """Sources or datasets that must be local."""
    for number in range(3):
        storage.write_bytes(f"{bucket}/in/sub/{number}.png", png(number))
    report = ingest([f"{bucket}/in"], f"{bucket}/out", IngestSettings(num_processes=1))
    assert (report.pages, report.bad) == (3, [])
    dataset = CanonicalDataset(f"{bucket}/out")
    pages = [page for file in dataset.corpus_files for _, page in iterate_pages(file)]
    assert [(page.page_id, page.image) for page in pages] == [
        (f"sub/{number}.png", png(number)) for number in range(3)
    ]


def test_a_dataset_on_s3_grows(bucket, monkeypatch):
    """New parts that cannot be renamed into their place, or old ones that are uploaded again."""
    monkeypatch.setattr(Processes, "each", lambda _, do, work, __: ((one, do(one)) for one in work))
    source, out = f"{bucket}/in [1]", f"{bucket}/out [*]"
    for number in range(2):
        storage.write_bytes(f"{source}/{number}.png", png(number))
    ingest([source], out)
    before = storage.list_states(f"{out}/corpus")
    storage.write_bytes(f"{source}/2.png", png(2))
    storage.write_bytes(f"{bucket}/more/a.png", png(3))
    storage.write_bytes(f"{bucket}/q.csv", b"query,file\nwhat is a?,more/a.png\n")
    settings = IngestSettings(queries=f"{bucket}/q.csv")
    report = ingest([source, f"{bucket}/more"], out, settings)
    assert (report.pages, report.judgements) == (4, 1)
    dataset = CanonicalDataset(out)
    dataset.check()
    assert sorted(dataset.documents()) == ["0.png", "1.png", "2.png", "more/a.png"]
    after = {state.path: state for state in storage.list_states(f"{out}/corpus")}
    assert [after[state.path] for state in before] == before
    assert len(after) == 2
    assert not [path for path in storage.find_files(out) if "_beside" in path]


@pytest.mark.ray
def test_the_whole_loop_on_s3(bucket, s3_server, ray_cluster, tmp_path):
    """A stage that works on disks only, while the store fails every fiftieth request."""
    make_corpus(tmp_path / "train", num_pages=16, num_queries=24)
    make_corpus(tmp_path / "test", num_pages=4, num_queries=4)
    for part in ("train", "test"):
        _upload(tmp_path / part, f"{bucket}/{part}")
    document = {
        "run": {"name": "run", "root": f"{bucket}/runs"},
        "backbone": {"path": "random"},
        "data": {"train": f"{bucket}/train", "eval": [f"{bucket}/test"], "dev_fraction": 0.3},
        "training": {"global_batch": 8, "num_workers": 1, "negatives_per_query": 2},
        "mining": {"relative_margin": 0.0},
        "loop": {"max_rounds": 2, "patience": 5},
    }
    config = parse_config(document, "test")
    with s3_server.failing(every=50):
        loop.run(config)
    assert s3_server.failed > 3
    run = f"{bucket}/runs/run"
    for name in ("round-2/heads/heads.safetensors", "round-2/triples.jsonl", "report.html"):
        assert storage.size_of(f"{run}/{name}") > 0
    assert not storage.find_files(f"{run}/ray-train")
    local = {
        **document,
        "run": {"name": "run", "root": str(tmp_path / "runs")},
        "data": {"train": str(tmp_path / "train"), "eval": [str(tmp_path / "test")]}
        | {"dev_fraction": 0.3},
    }
    loop.run(parse_config(local, "test"), LocalWorkers())  # the same bytes without half a minute
    for name in ("round-2/heads/heads.safetensors", "round-2/triples.jsonl", "loop.json"):
        assert storage.read_bytes(f"{run}/{name}") == (tmp_path / "runs/run" / name).read_bytes()
    assert [hit.rank for hit in search(run, "question 1 of many", 3, "test")] == [1, 2, 3]
