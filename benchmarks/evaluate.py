"""Evaluating at ViDoRe's sizes against sentence-transformers and a plain einsum.

5,244 pages of 768 tokens and 1,646 queries, 128 wide: the size of a ViDoRe task, made here of
random, clustered embeddings. Everybody gets the same embeddings, ready in memory in the form
that they take, and gives each query's best 100 pages; all are measured in turn, in one process.
The table shows medians: seconds, processor seconds, useful GFLOP per processor second, how many
times as many of these as ours, and the memory taken beyond the embeddings. Processor seconds say
the same on a machine that has other work. The scores of the best pages must agree, else the
benchmark fails.
Pooled search scores 500 pages of a query: its share of the exact best 5 is told, and no GFLOP/s;
with not many more pages than that it is slower than exact search.
"""

import argparse
import os
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from sentence_transformers.util.similarity import maxsim
from torch import Tensor

from colintern.evaluation.evaluate import RERANKED
from colintern.scoring.packed import PackedPages, score_pairs
from colintern.scoring.queries import EmbeddedQueries
from colintern.search import order
from colintern.search.pooled_index import PooledIndex
from colintern.search.shard import exact_best

WIDTH = 128
DEPTH = 100
EINSUM_BYTES = 400_000_000  # of similarities at one time, as sentence-transformers' default
TOLERANCE = 1e-4  # of mean scores: both sides sum in float32, and we in float64
NUM_TOPICS = 200

Best = tuple[Tensor, Tensor]  # scores [B, DEPTH], mean over query tokens; pages [B, DEPTH]


@dataclass(frozen=True)
class World:
    """The embeddings in every form that somebody takes.

    Attributes:
        page_DPE: of all pages, which are equally long.
        queries: theirs, of different lengths.
        packed: the pages as our search keeps them.
        pooled: the index of their pooled vectors.
    """

    page_DPE: Tensor
    queries: EmbeddedQueries
    packed: PackedPages
    pooled: PooledIndex

    @property
    def query_parts(self) -> list[Tensor]:
        """The tokens of each query."""
        return list(self.queries.token_TE.split(self.queries.lengths))


@dataclass(frozen=True)
class Measured:
    """One call: what it found, how long it took, and the bytes that it took at most."""

    best: Best
    seconds: float
    processor_seconds: float
    peak_bytes: int


def make_world(num_pages: int, num_queries: int, page_tokens: int) -> World:
    """Pages about a few topics each; a query's tokens are some of a page's, with noise."""
    draw = torch.Generator().manual_seed(0)
    topic_KE = torch.randn(NUM_TOPICS, WIDTH, generator=draw)
    page_DPE = torch.empty(num_pages, page_tokens, WIDTH)
    for page_PE in page_DPE:
        own = torch.randint(NUM_TOPICS, (4,), generator=draw)
        chosen = own[torch.randint(4, (page_tokens,), generator=draw)]
        noise = torch.randn(page_tokens, WIDTH, generator=draw)
        page_PE.copy_(torch.nn.functional.normalize(topic_KE[chosen] + noise, dim=1))
    lengths = torch.randint(12, 30, (num_queries,), generator=draw).tolist()
    parts = []
    for length in lengths:
        page = int(torch.randint(num_pages, (1,), generator=draw))
        tokens = torch.randint(page_tokens, (length,), generator=draw)
        noise = 0.15 * torch.randn(length, WIDTH, generator=draw)
        parts.append(torch.nn.functional.normalize(page_DPE[page, tokens] + noise, dim=1))
    queries = EmbeddedQueries(torch.cat(parts), tuple(lengths))
    packed = PackedPages.pack(page_DPE.flatten(0, 1), [page_tokens] * num_pages)
    return World(page_DPE, queries, packed, PooledIndex(page_DPE.mean(dim=1), 0))


def exact(world: World) -> Best:
    """Our exact search, as `evaluation.search: exact` does it."""
    keys = exact_best(world.packed, world.queries, DEPTH, torch.arange(len(world.page_DPE)))
    return order.to_scores(keys), order.to_ordinals(keys)


def pooled(world: World) -> Best:
    """Our pooled candidates, scored again: `evaluation.search: pooled_rerank`."""
    found = world.pooled.search(world.queries.pooled(), min(RERANKED, len(world.page_DPE)))
    page_BC = order.to_ordinals(found)
    query_N = torch.arange(len(page_BC)).repeat_interleave(page_BC.shape[1])
    score_N = score_pairs(world.queries, world.packed, query_N, page_BC.flatten())
    keys = order.best(order.to_keys(score_N, page_BC.flatten()).view_as(page_BC), DEPTH)
    return order.to_scores(keys), order.to_ordinals(keys)


def sentence_transformers(world: World) -> Best:
    """What `MultiVectorEncoder.similarity` calls, with its default budget of memory."""
    return _ranked(maxsim(world.query_parts, world.page_DPE), world)


def einsum(world: World) -> Best:
    """The padded form of colpali-engine: queries in parts of 128, pages as memory allows."""
    scores = []
    for start in range(0, len(world.queries), 128):
        parts = world.query_parts[start : start + 128]
        query_BQE = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)
        pages = max(1, EINSUM_BYTES // (4 * query_BQE[..., 0].numel() * world.page_DPE.shape[1]))
        scores.append(
            torch.cat(
                [
                    torch.einsum("bqe,dpe->bdqp", query_BQE, page_DPE).amax(3).sum(2)
                    for page_DPE in world.page_DPE.split(pages)
                ],
                dim=1,
            )
        )
    return _ranked(torch.cat(scores), world)


def _ranked(score_BD: Tensor, world: World) -> Best:
    mean_BD = score_BD / torch.tensor(world.queries.lengths)[:, None]
    best = mean_BD.topk(min(DEPTH, mean_BD.shape[1]), dim=1)
    return best.values, best.indices


def measured(function: Callable[[World], Best], world: World) -> Measured:
    """Call it once, with a thread beside it that watches the memory of this process."""
    before, ended, peak = _resident_bytes(), threading.Event(), 0

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.02):
            peak = max(peak, _resident_bytes() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    began, used = time.perf_counter(), time.process_time()
    best = function(world)
    seconds, processor_seconds = time.perf_counter() - began, time.process_time() - used
    ended.set()
    watcher.join()
    return Measured(best, seconds, processor_seconds, peak)


def _resident_bytes() -> int:
    """The memory of this process, on Linux."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _share_of_best(found: Best, truth: Best, depth: int = 5) -> float:
    pairs = zip(found[1][:, :depth], truth[1][:, :depth], strict=True)
    return statistics.mean(torch.isin(right, own).float().mean().item() for own, right in pairs)


def _print_table(runs: dict[str, list[Measured]], useful: float) -> None:
    ours = [one.processor_seconds for one in runs["ours, exact"]]
    truth = runs["ours, exact"][0].best
    titles = (
        f"{'seconds':>9}{'cpu s':>9}{'GFLOP/s':>9}{'times ours':>12}{'memory':>10}{'best 5':>8}"
    )
    print(" " * 24 + titles)
    for name, found in runs.items():
        seconds = statistics.median(one.seconds for one in found)
        used = statistics.median(one.processor_seconds for one in found)
        ratio = statistics.median(
            one.processor_seconds / own for one, own in zip(found, ours, strict=True)
        )
        rate = "-" if name == "ours, pooled" else f"{useful / used:.1f}"
        memory = max(one.peak_bytes for one in found) / 1e6
        share = _share_of_best(found[0].best, truth)
        spent = f"{seconds:>9.2f}{used:>9.2f}{rate:>9}{ratio:>12.2f}"
        print(f"{name:<24}{spent}{memory:>7.0f} MB{share:>8.3f}")
        if name != "ours, pooled":
            assert (found[0].best[0] - truth[0]).abs().max() < TOLERANCE, f"{name}: other scores"


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description="Evaluation at ViDoRe's sizes.")
    parser.add_argument("--pages", type=int, default=5_244)
    parser.add_argument("--queries", type=int, default=1_646)
    parser.add_argument("--tokens", type=int, default=768, help="of each page")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    contenders: dict[str, Callable[[World], Best]] = {
        "ours, exact": exact,
        "ours, pooled": pooled,
        "sentence-transformers": sentence_transformers,
        "einsum": einsum,
    }
    warm = make_world(200, 4, arguments.tokens)
    for function in contenders.values():
        function(warm)
    world = make_world(arguments.pages, arguments.queries, arguments.tokens)
    query_tokens = len(world.queries.token_TE)
    useful = 2.0 * arguments.pages * arguments.tokens * query_tokens * WIDTH / 1e9
    print(
        f"{arguments.pages:,} pages of {arguments.tokens} tokens, {arguments.queries:,} queries "
        f"of {query_tokens / arguments.queries:.1f}; threads: {arguments.threads}; median of "
        f"{arguments.repeats}"
    )
    runs: dict[str, list[Measured]] = {name: [] for name in contenders}
    for _ in range(arguments.repeats):
        for name, function in contenders.items():
            runs[name].append(measured(function, world))
    _print_table(runs, useful)


if __name__ == "__main__":
    main()
