"""What a CUDA device does with the three heavy parts: encoding, a training step, exact search.

Prints three tables. The backbone has the sizes of InternVL3-1B and random weights, made on the
spot: nothing is fetched. Pages are of A4's shape, which is 7 tiles of 448 pixels and 1,792 tokens.
Every figure is the median of several runs after a warm-up; what is compared is measured in turn.

- encode: cutting pages into tiles on one CPU thread, the model alone on tiles that are ready, and
  both, one after the other, as an encoding worker does; TFLOP/s count the products with the
  model's weights, without attention.
- train: one step of head training, with the plain MaxSim and with the fused kernels where
  they are installed (`late-interaction-kernels`).
- search: exact MaxSim of queries against packed pages, and the largest float32 matrix product of
  the same process.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoConfig, InternVLModel
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from colintern.config.schema import BackboneConfig, HeadsConfig, TrainingConfig
from colintern.model.backbone import FrozenBackbone
from colintern.model.heads import init_heads
from colintern.model.random_checkpoint import write_random_checkpoint
from colintern.scoring import fused
from colintern.scoring.packed import PackedPages, score_pages
from colintern.scoring.queries import EmbeddedQueries
from colintern.training.batch import Batch
from colintern.training.finite import FiniteGuard
from colintern.training.step import train_step
from colintern.training.strategy import make_strategy
from colintern.training.worker import Worker

PAGE_PIXELS = (1_654, 2_339)  # A4 at 200 dots an inch
PAGE_TOKENS = 1_792
QUERY_TOKENS = 24
BACKBONE_WIDTH = 896
WIDTH = 128


def _seconds(work: Callable[[], object]) -> float:
    torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def _medians(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Seconds of each piece of work, all measured in turn."""
    measured: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats + 1):
        for name, work in works.items():
            measured[name].append(_seconds(work))
    return {name: statistics.median(values[1:]) for name, values in measured.items()}


def _peak_gigabytes(work: Callable[[], object]) -> float:
    torch.cuda.reset_peak_memory_stats()
    _seconds(work)
    return torch.cuda.max_memory_allocated() / 1e9


def _write_backbone(folder: Path) -> None:
    """A checkpoint with the sizes of InternVL3-1B: the tiny one's files, other weights."""
    write_random_checkpoint(folder)
    config: Any = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    vision, text = config.vision_config, config.text_config
    vision.hidden_size, vision.intermediate_size = 1_024, 4_096
    vision.num_hidden_layers, vision.num_attention_heads = 24, 16
    vision.image_size = [448, 448]
    text.hidden_size, text.intermediate_size = BACKBONE_WIDTH, 4_864
    text.num_hidden_layers, text.num_attention_heads, text.num_key_value_heads = 24, 14, 2
    text.layer_types = ["full_attention"] * 24
    config.image_seq_length = 256
    with torch.device("cuda"):
        model: Any = InternVLModel(config)
    model.to(torch.bfloat16).save_pretrained(folder)
    images = GotOcr2ImageProcessorPil.from_pretrained(folder, trust_remote_code=False)
    images.size = {"height": 448, "width": 448}
    images.save_pretrained(folder)


def _page(seed: int) -> Image.Image:
    """A page of grey noise with bright margins: as hard to resize as any."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*PAGE_PIXELS[::-1], 3), np.uint8)
    pixels[:150] = pixels[-150:] = 255
    return Image.fromarray(pixels)


def _flops(backbone: FrozenBackbone, num_tiles: int) -> float:
    """Of the products with the weights, for a page of so many tiles."""
    model, per_tile = backbone._model, backbone.tiles.tokens_per_tile

    def weights(part: torch.nn.Module) -> int:
        kinds = (torch.nn.Linear, torch.nn.Conv2d)
        return sum(layer.weight.numel() for layer in part.modules() if isinstance(layer, kinds))

    patches = num_tiles * (per_tile * 4 + 1)  # four patches become one token
    tokens = num_tiles * per_tile
    behind = weights(model.multi_modal_projector) + weights(model.language_model)
    return 2.0 * (weights(model.vision_tower) * patches + behind * tokens)


def encode(repeats: int) -> None:
    """Print pages per second of the parts of encoding, for several token budgets."""
    with tempfile.TemporaryDirectory() as folder:
        _write_backbone(Path(folder))
        backbone = FrozenBackbone(BackboneConfig(path=folder), "cuda")
    pages = [_page(seed) for seed in range(32)]
    tiles = [backbone.tiler(page) for page in pages]
    assert {len(page) * backbone.tiles.tokens_per_tile for page in tiles} == {PAGE_TOKENS}
    flops = _flops(backbone, len(tiles[0]))
    print("batch tok.  tiling p/s  model p/s  both p/s  waits for tiles  TFLOP/s  peak GB")
    for budget in (1_792, 7_168, 28_672, 57_344):
        found = _medians(
            {
                "tiling": lambda: [backbone.tiler(page) for page in pages[:4]],
                "model": lambda: backbone.encode_tiles(tiles, batch_tokens=budget),  # noqa: B023
                "both": lambda: backbone.encode_pages(pages, batch_tokens=budget),  # noqa: B023
            },
            repeats,
        )
        peak = _peak_gigabytes(lambda: backbone.encode_tiles(tiles, batch_tokens=budget))  # noqa: B023
        rate = len(pages) / found["model"]
        print(
            f"{budget:>10,}  {4 / found['tiling']:>10.1f}  {rate:>9.1f}  "
            f"{len(pages) / found['both']:>8.1f}  {1 - found['model'] / found['both']:>15.0%}  "
            f"{rate * flops / 1e12:>7.0f}  {peak:>7.1f}",
            flush=True,
        )


def _batch(pairs: int, negatives: int) -> Batch:
    """Random features of `pairs` queries, their pages, and `negatives` pages for each."""
    draw = torch.Generator("cuda").manual_seed(0)
    pages = pairs * (1 + negatives)
    features = [
        torch.randn(tokens, BACKBONE_WIDTH, device="cuda", generator=draw)
        for tokens in (pairs * QUERY_TOKENS, pages * PAGE_TOKENS)
    ]
    return Batch(
        step=1,
        epoch=1,
        query_TH=features[0],
        query_lengths=[QUERY_TOKENS] * pairs,
        page_TH=features[1],
        page_lengths=[PAGE_TOKENS] * pairs,
        negative_lengths=[[PAGE_TOKENS] * negatives] * pairs,
        global_page_lengths=[PAGE_TOKENS] * pairs,
        positive_B=torch.arange(pairs, device="cuda"),
        mask_BD=~torch.eye(pairs, dtype=torch.bool, device="cuda"),
    )


def train(repeats: int) -> None:
    """Print pairs per second of a training step, plain and fused."""
    worker, training = Worker(device="cuda"), TrainingConfig()
    kernels = ["plain", *({fused.kernel_on("cuda")} - {"plain"})]
    usable = fused.is_usable
    print("pairs  negatives  kernels  ms / step  pairs/s  peak GB")
    for pairs, negatives in ((32, 0), (128, 0), (32, 4)):
        batch = _batch(pairs, negatives)

        def step_with(kernel: str) -> Callable[[], object]:
            heads = init_heads(HeadsConfig(dim=WIDTH), BACKBONE_WIDTH, seed=1).to("cuda")
            strategy, guard = make_strategy(heads, training, worker), FiniteGuard(worker)

            def step() -> None:
                fused.is_usable = usable if kernel == "fused" else lambda _: False
                train_step(heads, strategy, batch, 1e-4, training, worker, guard)  # noqa: B023

            return step

        steps = {kernel: step_with(kernel) for kernel in kernels}
        for kernel, seconds in _medians(steps, repeats).items():
            peak = _peak_gigabytes(steps[kernel])
            print(
                f"{pairs:>5}  {negatives:>9}  {kernel:>7}  {seconds * 1e3:>9.1f}  "
                f"{pairs / seconds:>7.0f}  {peak:>7.1f}",
                flush=True,
            )
    fused.is_usable = usable


def search(repeats: int) -> None:
    """Print TFLOP/s of exact search against those of a float32 matrix product."""
    side = torch.randn(8_192, 8_192, device="cuda")
    print("pages   page tok.  queries  search TF/s  peak TF/s  ratio  queries/s")
    for num_pages, page_tokens in ((50_000, 64), (10_000, 256), (2_000, 1_792)):
        draw = torch.Generator("cuda").manual_seed(0)
        lengths, query_lengths = [page_tokens] * num_pages, [QUERY_TOKENS] * 256
        unit = [
            torch.nn.functional.normalize(
                torch.randn(sum(sizes), WIDTH, device="cuda", generator=draw), dim=1
            )
            for sizes in (lengths, query_lengths)
        ]
        pages = PackedPages.pack(unit[0], lengths)
        queries = EmbeddedQueries(unit[1], tuple(query_lengths))
        found = _medians(
            {
                "search": lambda: score_pages(queries, pages),  # noqa: B023
                "peak": lambda: torch.mm(side, side),
            },
            repeats,
        )
        useful = 2.0 * sum(lengths) * sum(query_lengths) * WIDTH / 1e12 / found["search"]
        peak = 2.0 * len(side) ** 3 / 1e12 / found["peak"]
        print(
            f"{num_pages:>6,}  {page_tokens:>9,}  {len(query_lengths):>7}  {useful:>11.1f}  "
            f"{peak:>9.1f}  {useful / peak:>5.2f}  {len(query_lengths) / found['search']:>9.0f}",
            flush=True,
        )


PARTS = {"encode": encode, "train": train, "search": search}


def main() -> None:
    parser = argparse.ArgumentParser(description="The heavy parts on a CUDA device.")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("benchmarks/gpu.py needs a CUDA device")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}", flush=True)
    for part in arguments.parts:
        print(f"\n{part}", flush=True)
        PARTS[part](arguments.repeats)


if __name__ == "__main__":
    main()
