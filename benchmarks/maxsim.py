"""MaxSim search against this machine's float32 matrix-product peak.

Prints a table: for each number of threads and page length, GFLOP/s of `score_pages`, of the best
large matrix product in the same process, their ratio, the same for a plain einsum, and what one
pair costs in `score_pairs`. Everything is measured in turn, several times; medians are shown. Only
useful operations count: real query tokens x real page tokens x width x 2.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from colintern.scoring.packed import PackedPages, score_pages, score_pairs
from colintern.scoring.queries import EmbeddedQueries

WIDTH = 128
PAGE_TOKENS = 100_000
NUM_QUERIES = 200
PEAK_SIDE = 2_048
CANDIDATES = 50


def _unit(tokens: int, seed: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(tokens, WIDTH, generator=draw), dim=1)


def _page_lengths(name: str) -> list[int]:
    if name != "mixed":
        return [int(name)] * (PAGE_TOKENS // int(name))
    draw = torch.Generator().manual_seed(2)
    return torch.randint(64, 1_793, (PAGE_TOKENS // 928,), generator=draw).tolist()


def _einsum(queries: torch.Tensor, lengths: list[int], token_TE: torch.Tensor) -> None:
    """The padded form that most projects use, 8 pages at a time to bound its memory."""
    pages = torch.nn.utils.rnn.pad_sequence(list(token_TE.split(lengths)), batch_first=True)
    for start in range(0, len(pages), 8):
        block = pages[start : start + 8]
        torch.einsum("qe,dpe->dqp", queries, block).amax(dim=2)


def _seconds(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def _measure(name: str, repeats: int) -> str:
    lengths = _page_lengths(name)
    query_lengths = torch.randint(
        12, 30, (NUM_QUERIES,), generator=torch.Generator().manual_seed(3)
    ).tolist()
    token_TE, query_TE = _unit(sum(lengths), 0), _unit(sum(query_lengths), 1)
    pages = PackedPages.pack(token_TE, lengths)
    queries = EmbeddedQueries(query_TE, tuple(query_lengths))
    query_N = torch.arange(NUM_QUERIES).repeat_interleave(CANDIDATES)
    page_N = torch.arange(len(query_N)) * 7 % len(lengths)
    side = torch.randn(PEAK_SIDE, PEAK_SIDE)
    out = torch.empty(PEAK_SIDE, PEAK_SIDE)
    useful = 2.0 * sum(lengths) * sum(query_lengths) * WIDTH / 1e9
    measured: dict[str, list[float]] = {"search": [], "peak": [], "einsum": [], "pairs": []}
    for _ in range(repeats + 1):
        measured["search"].append(useful / _seconds(lambda: score_pages(queries, pages)))
        seconds = _seconds(lambda: [torch.mm(side, side, out=out) for _ in range(4)])
        measured["peak"].append(4 * 2.0 * PEAK_SIDE**3 / 1e9 / seconds)
        measured["einsum"].append(useful / _seconds(lambda: _einsum(query_TE, lengths, token_TE)))
        seconds = _seconds(lambda: score_pairs(queries, pages, query_N, page_N))
        measured["pairs"].append(seconds / len(query_N) * 1e6)
    warm = {key: values[1:] for key, values in measured.items()}
    ratio, einsum = (
        statistics.median(a / b for a, b in zip(warm[key], warm["peak"], strict=True))
        for key in ("search", "einsum")
    )
    search, peak, pairs = (statistics.median(warm[key]) for key in ("search", "peak", "pairs"))
    return f"{name:>8}  {search:>10.1f}  {peak:>8.1f}  {ratio:>7.2f}  {einsum:>7.2f}  {pairs:>9.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="MaxSim search against the matrix-product peak.")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print("threads  page tok.  search GF/s  peak GF/s   ratio  einsum  us / pair")
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        for name in ("64", "256", "1792", "mixed"):
            print(f"{threads:>7}  {_measure(name, arguments.repeats)}", flush=True)


if __name__ == "__main__":
    main()
