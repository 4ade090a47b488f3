"""How fast features are read: from a disk, from S3, and from what a machine has kept of S3.

Prints MB/s of `Items.read` for pages in the order of the store and in a random one, a batch at a
time, beside plain reads of the same bytes: from the files, and from S3 by requests of which as many
are sent at a time. Bytes are checked and put together by the store, and only counted by plain
reads. `cold` is the first reading: from S3 with an empty cache, from a disk whose pages the system
has been told to forget. `warm` is the second.

S3 is moto on this machine, in a process of its own, which waits before each answer as a real one
does. It shares the cores: its rates say how reading compares, not what S3 gives.
"""

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from colintern import records, storage
from colintern.features.cache import FOLDER_VARIABLE, node_cache
from colintern.features.manifest import MANIFEST, QUERY_SCHEMA
from colintern.features.shard_file import ShardFile, write_shard
from colintern.features.store import PAGES, QUERIES, RECORD, FeatureStore

TOKENS, WIDTH = 1_792, 896  # of an A4 page in InternVL3-1B
CACHE_BYTES = 64 * 2**30
Batches = list[np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description="The rate of reading features.")
    parser.add_argument("--pages", type=int, default=96, help="of 3.2 MB each")
    parser.add_argument("--shard-pages", type=int, default=12, help="pages in a shard")
    parser.add_argument("--batch", type=int, default=32, help="pages read at one time")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--latency-ms", type=float, default=[0, 30], nargs="+", help="of S3")
    parser.add_argument("--serve", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        _serve(arguments.serve)
        return
    torch.set_num_threads(1)
    order = np.random.default_rng(0).permutation(arguments.pages)
    orders = {
        name: np.split(rows, range(arguments.batch, arguments.pages, arguments.batch))
        for name, rows in (("in order", np.arange(arguments.pages)), ("random", order))
    }
    print(f"{'store on':<12}{'pages':<10}" + "".join(f"{head:>12}" for head in _HEADS))
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder, "store")
        _write_store(store, arguments.pages, arguments.shard_pages)
        for name, batches in orders.items():
            _measure_disk(f"{'disk':<12}{name:<10}", str(store), batches, arguments.repeats)
        for latency in arguments.latency_ms:
            with _server(latency) as bucket:
                for path in store.rglob("*.*"):
                    name = path.relative_to(store).as_posix()
                    storage.write_bytes(f"{bucket}/store/{name}", path.read_bytes())
                for name, batches in orders.items():
                    place = f"{f'S3 + {latency:g} ms':<12}{name:<10}"
                    _measure_s3(place, f"{bucket}/store", batches, arguments.repeats, folder)


_HEADS = ("plain cold", "store cold", "plain warm", "store warm")


def _measure_disk(place: str, path: str, batches: Batches, repeats: int) -> None:
    rates = []
    for _ in range(repeats):
        found = []
        for read in (_plainly, _by_store):
            _forget(path)
            found += [_rate(read, path, batches), _rate(read, path, batches)]
        rates.append([found[0], found[2], found[1], found[3]])
    _print(place, rates)


def _measure_s3(place: str, path: str, batches: Batches, repeats: int, folder: str) -> None:
    rates = []
    for repeat in range(repeats):
        os.environ[FOLDER_VARIABLE] = str(Path(folder, f"cache-{repeat}-{place.split()[-1]}"))
        node_cache.cache_clear()
        plain = [_rate(_plainly, path, batches) for _ in range(2)]
        cold, warm = (_rate(_by_store, path, batches) for _ in range(2))
        rates.append([plain[0], cold, plain[1], warm])
    _print(place, rates)


def _print(place: str, rates: list[list[float]]) -> None:
    medians = map(statistics.median, zip(*rates, strict=True))
    print(place + "".join(f"{rate:>12,.0f}" for rate in medians), flush=True)


def _rate(read: Callable[[str, Batches], int], path: str, batches: Batches) -> float:
    """MB/s; the store's manifest and headers are read before, by both."""
    began = time.perf_counter()
    num_bytes = read(path, batches)
    return num_bytes / 1e6 / (time.perf_counter() - began)


def _by_store(path: str, batches: Batches) -> int:
    pages = FeatureStore(path, cache_bytes=CACHE_BYTES).pages
    return sum(pages.read(batch)[0].nbytes for batch in batches)


def _plainly(path: str, batches: Batches) -> int:
    """The same bytes in the same order, as they are."""
    pieces = _pieces(path)
    if storage.is_local(path):
        files = {name: Path(name).open("rb") for name in {piece.path for piece in pieces}}
        return sum(_from_files(files, [pieces[row] for row in batch]) for batch in batches)
    file_system, _ = storage.file_system_of(path)
    total = 0
    for batch in batches:
        paths, starts, ends = zip(*(pieces[row] for row in batch), strict=True)
        answers = file_system.cat_ranges(list(paths), starts, ends, on_error="raise")
        total += sum(map(len, answers))
    return total


def _from_files(files: dict[str, BinaryIO], pieces: Sequence[storage.Piece]) -> int:
    buffer = memoryview(bytearray(sum(piece.num_bytes for piece in pieces)))
    filled = 0
    for piece in pieces:
        files[piece.path].seek(piece.start)
        filled += files[piece.path].readinto(buffer[filled : filled + piece.num_bytes])
    return filled


def _pieces(path: str) -> list[storage.Piece]:
    """Where each page stands, in the order of the store."""
    found = []
    for file in storage.list_files(storage.join(path, PAGES), ".safetensors"):
        shard = ShardFile(file)
        found += [shard.part(sha256).piece for sha256 in sorted(shard.num_tokens())]
    return found


def _write_store(folder: Path, num_pages: int, shard_pages: int) -> None:
    """A store of random numbers."""
    for part in (PAGES, QUERIES):
        rows = [
            {
                "id": f"p{number:06d}",
                "sha256": f"{number:064x}",
                "shard": f"shard-{number // shard_pages:05d}.safetensors",
                "num_tokens": TOKENS,
            }
            for number in range(num_pages if part == PAGES else 0)
        ]
        for start in range(0, len(rows), shard_pages):
            own = rows[start : start + shard_pages]
            features = {row["sha256"]: torch.randn(TOKENS, WIDTH).bfloat16() for row in own}
            write_shard(str(folder / part / own[0]["shard"]), features, {}, "float32")
        (folder / part).mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, QUERY_SCHEMA), folder / part / MANIFEST)
    records.write_record(str(folder / RECORD), str(folder), {}, [], records.now())


def _forget(path: str) -> None:
    """Have the system read the files of a store from the disk again."""
    for file in Path(path).rglob("*.safetensors"):
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@contextmanager
def _server(latency_ms: float) -> Iterator[str]:
    """The URL of a bucket on a server of its own."""
    command = [sys.executable, "-m", "benchmarks.reading", "--serve", str(latency_ms)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        environment, bucket = json.loads(server.stdout.readline())
        os.environ.update(environment)
        yield bucket
    finally:
        server.kill()
        server.wait()


def _serve(latency_ms: float) -> None:
    """Serve until the parent is gone."""
    from tests.s3_server import S3Server

    logging.disable(logging.INFO)
    server = S3Server()
    with server.running(), server.before(lambda *_: time.sleep(latency_ms / 1e3)):
        print(json.dumps([server.environment, server.new_bucket()]), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
