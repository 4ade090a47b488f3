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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from io import BufferedReader
from pathlib import Path

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
Clock = Callable[[], float]
_CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}


def main() -> None:
    parser = argparse.ArgumentParser(description="The rate of reading features.")
    parser.add_argument("--pages", type=int, default=96, help="of 3.2 MB each")
    parser.add_argument("--shard-pages", type=int, default=12, help="pages in a shard")
    parser.add_argument("--batch", type=int, default=32, help="pages read at one time")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--latency-ms", type=float, default=[0, 30], nargs="+", help="of S3")
    parser.add_argument(
        "--clock",
        choices=_CLOCKS,
        default="wall",
        help="cpu: seconds that this process has computed, for a machine that others use too",
    )
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        _serve()
        return
    clock = _CLOCKS[arguments.clock]
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
            rates = [_disk_rates(str(store), batches, clock) for _ in range(arguments.repeats)]
            _print(f"{'disk':<12}{name:<10}", rates)
        with _server() as (bucket, wait):
            for path in store.rglob("*.*"):
                name = path.relative_to(store).as_posix()
                storage.write_bytes(f"{bucket}/store/{name}", path.read_bytes())
            for latency in arguments.latency_ms:
                wait(latency)
                for name, batches in orders.items():
                    rates = [
                        _s3_rates(f"{bucket}/store", batches, clock)
                        for _ in range(arguments.repeats)
                    ]
                    _print(f"{f'S3 + {latency:g} ms':<12}{name:<10}", rates)


_HEADS = ("plain cold", "store cold", "plain warm", "store warm")


def _disk_rates(path: str, batches: Batches, clock: Clock) -> list[float]:
    rates = []
    for read in (_plainly, _by_store):
        _forget(path)
        rates.append([_rate(read, path, batches, clock) for _ in range(2)])
    return [rates[0][0], rates[1][0], rates[0][1], rates[1][1]]


def _s3_rates(path: str, batches: Batches, clock: Clock) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ[FOLDER_VARIABLE] = folder
        node_cache.cache_clear()
        rates = [
            [_rate(read, path, batches, clock) for _ in range(2)] for read in (_plainly, _by_store)
        ]
    return [rates[0][0], rates[1][0], rates[0][1], rates[1][1]]


def _print(place: str, rates: list[list[float]]) -> None:
    medians = map(statistics.median, zip(*rates, strict=True))
    print(place + "".join(f"{rate:>12,.0f}" for rate in medians), flush=True)


def _rate(read: Callable[[str, Batches], int], path: str, batches: Batches, clock: Clock) -> float:
    """MB/s, with the opening of the store or of its files."""
    began = clock()
    num_bytes = read(path, batches)
    return num_bytes / 1e6 / (clock() - began)


def _by_store(path: str, batches: Batches) -> int:
    pages = FeatureStore(path, cache_bytes=CACHE_BYTES).pages
    return sum(pages.read(batch)[0].nbytes for batch in batches)


def _plainly(path: str, batches: Batches) -> int:
    """The same bytes in the same order, as they are."""
    pieces = _pieces(path)
    if storage.is_local(path):
        with ExitStack() as stack:
            names = {piece.path for piece in pieces}
            files = {name: stack.enter_context(Path(name).open("rb")) for name in names}
            return sum(_from_files(files, [pieces[row] for row in batch]) for batch in batches)
    file_system, _ = storage.file_system_of(path)
    total = 0
    for batch in batches:
        paths, starts, ends = zip(*(pieces[row] for row in batch), strict=True)
        answers = file_system.cat_ranges(list(paths), starts, ends, on_error="raise")
        total += sum(map(len, answers))
    return total


def _from_files(files: Mapping[str, BufferedReader], pieces: Sequence[storage.Piece]) -> int:
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
        found += [shard.parts(sha256)[0].piece for sha256 in sorted(shard.num_tokens())]
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
def _server() -> Iterator[tuple[str, Callable[[float], None]]]:
    """The URL of a bucket on a server of its own, and what sets its wait in milliseconds."""
    command = [sys.executable, "-m", "benchmarks.reading", "--serve"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert server.stdin is not None
    to_server = server.stdin
    try:
        environment, bucket = json.loads(server.stdout.readline())
        os.environ.update(environment)
        yield bucket, lambda latency: print(latency, file=to_server, flush=True)
    finally:
        server.kill()
        server.wait()


def _serve() -> None:
    """Serve until the parent is gone, and wait as it says."""
    from tests.s3_server import S3Server

    logging.disable(logging.INFO)
    server, latency_ms = S3Server(), [0.0]
    os.environ.update(server.environment)
    with server.running(), server.before(lambda *_: time.sleep(latency_ms[0] / 1e3)):
        print(json.dumps([server.environment, server.new_bucket()]), flush=True)
        for line in sys.stdin:
            latency_ms[0] = float(line)


if __name__ == "__main__":
    main()
