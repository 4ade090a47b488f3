"""The encoding pipeline against a bare torch loop over the same pages and model, on the same cores.

Prints a table: pages/s of one and of two model workers on Ray Data, and of as many bare processes
that read, decode, tile and run the model, one page batch after the other, and write nothing. All
processes of a row, Ray's own too, are held to as many cores as there are workers; torch has one
thread in each. Start-up (Ray, imports, loading the model) is left out on both sides. Both are
measured in turn, several times; medians are shown, and the ratios of those that follow each other.
A worker's time begins when its first batch is ready: the processes that prepare pages have to start
before. Up to three batches are prepared then, of the dozens that a worker gets.

The last rows stand for a GPU: the model takes a fixed time a page and no CPU, and one more core
prepares pages. They show the share of its time that the model waited.

    python benchmarks/encode.py [--pages 192] [--repeats 3] [--models internvl reader]
"""

import argparse
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from PIL import Image, ImageDraw
from transformers import InternVLConfig, InternVLModel

from colintern import storage
from colintern.config.files import parse_config
from colintern.config.schema import BackboneConfig, Config
from colintern.data.canonical import CanonicalDataset, iterate_pages
from colintern.data.entities import Judgement, Page, Query
from colintern.data.writing import write_dataset
from colintern.features.making import make_stores
from colintern.features.preparing import PageBatch, prepare
from colintern.features.progress import ENCODE_LOG
from colintern.model.backbone import FrozenBackbone, read_identity
from colintern.model.quiet import quiet_transformers
from colintern.model.random_checkpoint import write_random_checkpoint
from colintern.runs.stores import store_targets
from colintern.runtime.cluster import WORKER_ENVIRONMENT
from colintern.runtime.encode import RayCrew

PAGE_PIXELS = (827, 1_169)  # A4 at 100 dots an inch
PAGES_PER_BATCH, PAGES_PER_SHARD = 4, 8
_BACKBONE = "backbone"


def write_pages(folder: Path, num_pages: int) -> None:
    """A dataset of JPEG pages full of strokes, and the one question that a dataset must have."""
    draw = np.random.default_rng(0)
    pages = []
    for number in range(num_pages):
        picture = Image.new("RGB", PAGE_PIXELS, "white")
        strokes = ImageDraw.Draw(picture)
        for x, y in draw.integers(0, 800, (2_000, 2)).tolist():
            strokes.line((x, y * 1.4, x + 9, y * 1.4 + 4), fill="black", width=2)
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=85)
        pages.append(Page(f"p{number:04d}", buffer.getvalue()))
    queries = [Query("q", "what", "en", None)]
    write_dataset(str(folder), pages, queries, [Judgement("q", "p0000", 1)])


def write_internvl(folder: Path) -> None:
    """An InternVL of about 25 million random weights, with tiles of 224 pixels and 64 tokens."""
    write_random_checkpoint(folder)
    document = json.loads((folder / "config.json").read_text())
    document["vision_config"] |= {
        "hidden_size": 384,
        "intermediate_size": 1_536,
        "num_hidden_layers": 8,
        "num_attention_heads": 6,
    }
    document["text_config"] |= {
        "hidden_size": 384,
        "intermediate_size": 1_024,
        "num_hidden_layers": 6,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "layer_types": None,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = InternVLModel(InternVLConfig.from_dict(document))
    with quiet_transformers():
        model.save_pretrained(folder)


def config_for(root: Path, backbone: str, workers: int) -> Config:
    """One tile a page; several shards for each worker."""
    path = str(root / _BACKBONE) if backbone == "internvl" else backbone
    identity = read_identity(BackboneConfig(path=path, max_tiles=1))
    page_tokens = identity.tiles.tokens_per_tile
    document = {
        "data": {"train": str(root / "set")},
        "run": {"root": str(root / "runs")},
        "backbone": {"path": path, "max_tiles": 1},
        "features": {
            "shard_bytes": PAGES_PER_SHARD * page_tokens * identity.width * 2,
            "batch_tokens": PAGES_PER_BATCH * page_tokens,
        },
        "cluster": {"encode_workers": workers},
    }
    return parse_config(document, "benchmark")


def pipeline(config: Config) -> dict[str, Any]:
    """Encode the pages anew; what the store's log says of it."""
    identity = read_identity(config.backbone)
    targets = list(store_targets(config, identity).values())
    shutil.rmtree(targets[0].path, ignore_errors=True)
    make_stores(targets, identity, config, RayCrew(config))
    return json.loads(storage.read_bytes(storage.join(targets[0].path, ENCODE_LOG)))


def bare(config: Config, part: int, parts: int) -> None:
    """The loop of one process over its part of the pages; prints the seconds it took."""
    torch.set_num_threads(1)
    backbone = FrozenBackbone(config.backbone)
    located = [
        (location, page)
        for file in CanonicalDataset(config.data.train.path).corpus_files
        for location, page in iterate_pages(file)
    ][part::parts]
    batches = [
        located[start : start + PAGES_PER_BATCH]
        for start in range(0, len(located), PAGES_PER_BATCH)
    ]
    began = time.perf_counter()
    kept = []
    for batch in batches:
        items = tuple(storage.sha256_of_bytes(page.image) for _, page in batch)
        ids = tuple(page.page_id for _, page in batch)
        prepared = prepare(
            PageBatch(items, tuple(location for location, _ in batch), ids), backbone.tiler
        )
        features = backbone.encode_tiles(prepared.pages())
        kept += [page.bfloat16() for page in features]
    print(time.perf_counter() - began, flush=True)


def bare_rate(root: Path, backbone: str, workers: int, num_pages: int) -> float:
    """Pages/s of some bare processes at once."""
    commands = [
        [sys.executable, __file__, "--bare", str(root), backbone, str(part), str(workers)]
        for part in range(workers)
    ]
    started = [subprocess.Popen(one, stdout=subprocess.PIPE, text=True) for one in commands]
    seconds = [float(one.communicate()[0].split()[-1]) for one in started]
    return num_pages / statistics.mean(seconds)


def compare(root: Path, backbone: str, workers: int, num_pages: int, repeats: int) -> str:
    """A row of the table."""
    config = config_for(root, backbone, workers)
    rates: dict[str, list[float]] = {"bare": [], "pipeline": []}
    for _ in range(repeats):
        rates["bare"].append(bare_rate(root, backbone, workers, num_pages))
        found = pipeline(config)
        rates["pipeline"].append(num_pages * found["workers"] / found["model_seconds"])
    ratio = statistics.median(
        one / other for one, other in zip(rates["pipeline"], rates["bare"], strict=True)
    )
    bare_median, median = (statistics.median(rates[name]) for name in ("bare", "pipeline"))
    return f"{backbone:<10} {workers:>7}  {bare_median:>8.2f}  {median:>12.2f}  {ratio:>5.2f}"


def sleep_for_the_model() -> None:
    """In each process of a cluster: the model takes a while for a page, and no CPU."""
    seconds = float(os.environ["SECONDS_PER_PAGE"])

    def encode_tiles(self: Any, pages: list, **_: Any) -> list[torch.Tensor]:
        time.sleep(seconds * len(pages))
        return [torch.zeros(self.tiles.tokens_per_tile, self.width) for _ in pages]

    FrozenBackbone.encode_tiles = encode_tiles  # pyright: ignore[reportAttributeAccessIssue]


def start_ray(cores: int, num_cpus: int, **environment: Any) -> None:
    """A cluster of one node, all of whose processes share some cores."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    os.environ.update(WORKER_ENVIRONMENT)
    os.environ |= {"RAY_worker_niceness": "0"}  # as the bare processes; by default workers are nice
    ray.init(
        address="local", num_cpus=num_cpus, log_to_driver=False, runtime_env=environment or None
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="The pipeline against a bare torch loop.")
    parser.add_argument("--pages", type=int, default=192)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--models", nargs="*", default=["internvl", "reader"])
    parser.add_argument("--workers", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--seconds-per-page", nargs="*", type=float, default=[0.1, 0.2])
    parser.add_argument("--bare", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bare:
        root, backbone, part, parts = arguments.bare
        bare(config_for(Path(root), backbone, int(parts)), int(part), int(parts))
        return
    every_core = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_pages(root / "set", arguments.pages)
        write_internvl(root / _BACKBONE)
        print("backbone   workers  bare p/s  pipeline p/s  ratio", flush=True)
        for workers in arguments.workers:
            start_ray(workers, 2 * workers)
            for backbone in arguments.models:
                row = compare(root, backbone, workers, arguments.pages, arguments.repeats)
                print(row, flush=True)
            ray.shutdown()
            os.sched_setaffinity(0, every_core)
        print("\nmodel of s/page  pages/s  waited", flush=True)
        for seconds in arguments.seconds_per_page:
            start_ray(
                2,
                3,
                worker_process_setup_hook=sleep_for_the_model,
                env_vars={"SECONDS_PER_PAGE": str(seconds)},
            )
            found = pipeline(config_for(root, "random", 1))
            rate = arguments.pages / found["model_seconds"]
            print(f"{seconds:>15.2f}  {rate:>7.2f}  {found['waited']:>6.1%}", flush=True)
            ray.shutdown()


if __name__ == "__main__":
    main()
