"""MaxSim for search: ragged embeddings, no gradients, near the speed of the matrix product.

Every product is of one fixed shape, a block of page tokens with a block of query tokens, so that
a number never depends on what else is being scored: not on padding, batch, shard or order. What
follows a product is a maximum, which has no rounding, and a sum over query tokens in float64, taken
token by token in their order.

On a CPU every product is computed by one thread, so that a number does not depend on their count
either; the threads that torch may use (`torch.set_num_threads`) take different blocks. Several
threads in one small product wait for each other longer than they work.

A page is cut into segments of `_SEGMENT` tokens, the last one filled up with copies of the page's
own last token, which cannot change its maximum. Segments of all pages stand one behind the other,
so blocks are full whatever the pages' lengths. A block of pages stays in the cache while all query
blocks of a wave pass over it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from threading import Barrier
from typing import TypeVar

import torch
from torch import Tensor

from colintern.scoring.queries import EmbeddedQueries

_SEGMENT = 32  # tokens; image tokens come in multiples of 64 or 256, which waste nothing
# Tokens of a block of pages and of a block of queries. On CPU those that came nearest to the peak
# (benchmarks/maxsim.py, 1 MiB of L2 cache a core); a GPU wants more work a launch.
_PAGE_BLOCK = {"cpu": 2_048, "cuda": 65_536}
_QUERY_BLOCK = {"cpu": 128, "cuda": 1_024}
_WAVE_TOKENS = 1_024  # query tokens that pass over the pages together
_CHUNK_SEGMENTS = 8_192  # whose maxima are kept at one time: 32 MiB of them in a wave
_BLOCKS_A_TASK = 2  # page blocks that a thread takes at once: some milliseconds of work
# Chosen pages that a thread copies out at one time: many blocks, of which the last may not be full.
_TAKEN_BYTES = {"cpu": 16 * 2**20, "cuda": 512 * 2**20}
_PAGES_A_TASK = {"cpu": 256, "cuda": 65_536}  # whose scores are added up at one time

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class _Chunk:
    """Some pages whose segments stand one behind the other, those with the fewest first.

    Attributes:
        first_segment: where they begin.
        num_segments: of all of them.
        groups: how many segments a page has, and how many such pages follow each other.
        places: where the caller had each page.
    """

    first_segment: int
    num_segments: int
    groups: tuple[tuple[int, int], ...]
    places: Tensor


@dataclass(frozen=True)
class PackedPages:
    """Page embeddings as segments.

    Attributes:
        token_SLE: segments of `_SEGMENT` tokens, those of the pages with the fewest first; at the
            end one block of zeros, so that a block may begin at any segment.
        first_segment: where each page's segments begin, by the place that the caller gave it.
        num_segments: how many each page has.
    """

    token_SLE: Tensor
    first_segment: Tensor
    num_segments: Tensor

    @staticmethod
    def pack(token_TE: Tensor, lengths: Sequence[int]) -> "PackedPages":
        """Pack pages that stand one behind the other in `token_TE` (float32).

        Args:
            token_TE: L2-normalised embeddings.
            lengths: tokens of each page, at least 1.
        """
        pages = PackedPages.empty(lengths, token_TE.shape[1], token_TE.device)
        pages.put(0, token_TE, lengths)
        return pages

    @staticmethod
    def empty(lengths: Sequence[int], dim: int, device: torch.device) -> "PackedPages":
        """Room for pages of these lengths, each of which is yet to be `put` in."""
        length_D = torch.tensor(lengths, dtype=torch.int64)
        return _room((length_D + _SEGMENT - 1) // _SEGMENT, dim, device)

    def put(self, first: int, token_TE: Tensor, lengths: Sequence[int]) -> None:
        """Fill in the pages from the place `first` on; arguments as of `pack`."""
        device = token_TE.device
        places = slice(first, first + len(lengths))
        length_D = torch.tensor(lengths, dtype=torch.int64)
        start_D = length_D.cumsum(0) - length_D
        page_X, place_X = _ragged_range(self.num_segments[places] * _SEGMENT)
        source_X = start_D[page_X] + torch.minimum(place_X, length_D[page_X] - 1)
        target_X = self.first_segment[places][page_X] * _SEGMENT + place_X
        self.token_SLE.flatten(0, 1)[target_X.to(device)] = token_TE[source_X.to(device)]

    @property
    def num_pages(self) -> int:
        """Pages that are packed."""
        return len(self.num_segments)

    def tokens(self, page: int, length: int) -> Tensor:
        """The embeddings token_TE of one page, which has `length` tokens."""
        first, count = int(self.first_segment[page]), int(self.num_segments[page])
        return self.token_SLE[first : first + count].flatten(0, 1)[:length]

    def take(self, page_N: Tensor) -> "PackedPages":
        """Some of the pages, packed anew, in the given order."""
        device = self.token_SLE.device
        taken = _room(self.num_segments[page_N], self.token_SLE.shape[2], device)
        by_count = taken.first_segment.argsort()
        item, place_S = _ragged_range(taken.num_segments[by_count])
        source_S = self.first_segment[page_N[by_count]][item] + place_S
        own = taken.token_SLE[: len(source_S)]
        torch.index_select(self.token_SLE, 0, source_S.to(device), out=own)
        return taken

    def parts(self, page_N: Tensor, max_bytes: int) -> tuple[Tensor, ...]:
        """Runs of `page_N` of about `max_bytes` of embeddings together, at least one page."""
        count_N = self.num_segments[page_N]
        part_N = (count_N.cumsum(0) - count_N) * self.token_SLE[0].nbytes // max_bytes
        _, sizes = part_N.unique_consecutive(return_counts=True)
        return page_N.split(sizes.tolist())

    @cached_property
    def chunks(self) -> list[_Chunk]:
        """All pages, about `_CHUNK_SEGMENTS` segments a chunk, one page at least."""
        in_order = self.first_segment.argsort()
        first_D = self.first_segment[in_order]
        chunk_D = first_D // _CHUNK_SEGMENTS
        _, sizes = chunk_D.unique_consecutive(return_counts=True)
        chunks = []
        for places in in_order.split(sizes.tolist()):
            counts, pages = self.num_segments[places].unique_consecutive(return_counts=True)
            chunks.append(
                _Chunk(
                    int(self.first_segment[places[0]]),
                    int(self.num_segments[places].sum()),
                    tuple(zip(counts.tolist(), pages.tolist(), strict=True)),
                    places,
                )
            )
        return chunks


def score_pages(queries: EmbeddedQueries, pages: PackedPages) -> Tensor:
    """Score every query against every page.

    Returns:
        score_BD, float32, on the device of the embeddings: the sum over the query's tokens of the
        best page token's dot product, divided by the number of query tokens.
    """
    device = pages.token_SLE.device
    score_BD = torch.empty(len(queries.lengths), pages.num_pages, device=device)
    for rows, wave in queries.waves(_WAVE_TOKENS):
        blocks = _query_blocks(wave.token_TE)
        length_B, steps = torch.tensor(wave.lengths, device=device), _steps(wave.lengths, device)
        for chunk in pages.chunks:
            best_TD = _best_tokens(blocks, pages.token_SLE, chunk)
            score_BD[rows, chunk.places.to(device)] = _mean_over_tokens(best_TD, length_B, steps)
    return score_BD


def score_pairs(
    queries: EmbeddedQueries, pages: PackedPages, query_N: Tensor, page_N: Tensor
) -> Tensor:
    """Score chosen pairs of a query and a page, with the same result as `score_pages`.

    Args:
        queries: on the device of the pages.
        pages: the packed pages.
        query_N: int64, the query of each pair, not decreasing.
        page_N: int64, its page.

    Returns:
        score_N, float32.
    """
    num_pairs = torch.bincount(query_N, minlength=len(queries.lengths)).tolist()
    device = pages.token_SLE.device

    def score(chosen: tuple[EmbeddedQueries, Tensor]) -> Tensor:
        query, own_N = chosen
        return score_pages(query, pages.take(own_N))[0]

    single = queries.waves(max_tokens=1)  # one query a wave
    chosen = [
        (query, part_N)
        for (_, query), own_N in zip(single, page_N.split(num_pairs), strict=True)
        for part_N in pages.parts(own_N, _TAKEN_BYTES[device.type])
    ]
    return torch.cat([pages.token_SLE.new_empty(0), *_on_threads(score, chosen, device)])


def _room(count_D: Tensor, dim: int, device: torch.device) -> PackedPages:
    """Pages of these numbers of segments, whose embeddings are yet to be filled in."""
    block = _PAGE_BLOCK[device.type] // _SEGMENT
    token_SLE = torch.empty(int(count_D.sum()) + block, _SEGMENT, dim, device=device)
    token_SLE[-block:] = 0.0
    by_count = count_D.argsort(stable=True)
    ordered = count_D[by_count]
    first_segment = torch.empty_like(count_D)
    first_segment[by_count] = ordered.cumsum(0) - ordered
    return PackedPages(token_SLE, first_segment, count_D)


def _query_blocks(token_TE: Tensor) -> list[Tensor]:
    """The query tokens as columns, in blocks of the fixed shape, zeros behind the last token."""
    size = _QUERY_BLOCK[token_TE.device.type]
    missing = -len(token_TE) % size
    column_ET = torch.nn.functional.pad(token_TE, (0, 0, 0, missing)).T
    return [block.contiguous() for block in column_ET.split(size, dim=1)]


def _best_tokens(blocks: list[Tensor], token_SLE: Tensor, chunk: _Chunk) -> Tensor:
    """The best similarity of every query token in every page of a chunk: best_TD."""
    device = token_SLE.device.type
    per_block, query_block = _PAGE_BLOCK[device] // _SEGMENT, _QUERY_BLOCK[device]
    padded = -(-chunk.num_segments // per_block) * per_block
    best_XSK = token_SLE.new_empty(len(blocks), padded, query_block)

    def fill(run: range) -> None:
        product = token_SLE.new_empty(_PAGE_BLOCK[device], query_block)
        segments_of_product = product.view(per_block, _SEGMENT, query_block)
        for first in run:
            start = chunk.first_segment + first
            page_block = token_SLE[start : start + per_block].view(-1, token_SLE.shape[2])
            for number, block in enumerate(blocks):
                torch.mm(page_block, block, out=product)
                best = best_XSK[number, first : first + per_block]
                torch.amax(segments_of_product, dim=1, out=best)

    firsts = range(0, padded, per_block)
    runs = [firsts[n : n + _BLOCKS_A_TASK] for n in range(0, len(firsts), _BLOCKS_A_TASK)]
    _on_threads(fill, runs, token_SLE.device)
    best_XDK = torch.cat(list(_best_of_pages(best_XSK, chunk.groups)), dim=1)
    return best_XDK.transpose(1, 2).flatten(0, 1)


def _on_threads(function: Callable[[T], R], items: Iterable[T], device: torch.device) -> list[R]:
    """`function` of every item, on the threads that torch may use on a CPU, each product on one."""
    num_threads = torch.get_num_threads() if device.type == "cpu" else 1
    if num_threads == 1:
        return [function(item) for item in items]
    return list(_threads(num_threads).map(function, items))


@cache
def _threads(number: int) -> ThreadPoolExecutor:
    """Threads that live as long as the process, each with one thread for its own products.

    torch gives the number that was set last, in whatever thread, to every thread that comes later:
    so all of ours begin now, and then the calling thread's number is set again.
    """
    threads = ThreadPoolExecutor(number, "maxsim", _compute_alone)
    all_begun = Barrier(number)
    list(threads.map(lambda _: all_begun.wait(), range(number)))
    torch.set_num_threads(number)
    return threads


def _compute_alone() -> None:
    torch.get_num_threads()  # takes over the process's number, which else is done after the next
    torch.set_num_threads(1)


def _best_of_pages(best_XSK: Tensor, groups: Sequence[tuple[int, int]]) -> Iterator[Tensor]:
    """The maximum over each page's segments, [X, pages, K] for every group."""
    first = 0
    for count, num_pages in groups:
        own = best_XSK[:, first : first + count * num_pages]
        yield own.unflatten(1, (num_pages, count)).amax(dim=2)
        first += count * num_pages


def _steps(lengths: Sequence[int], device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """For every place in a query: the queries that are so long, and their tokens at this place."""
    length_B = torch.tensor(lengths)
    start_B = length_B.cumsum(0) - length_B
    active = [(length_B > place).nonzero()[:, 0] for place in range(max(lengths))]
    return [
        (query_A.to(device), (start_B[query_A] + place).to(device))
        for place, query_A in enumerate(active)
    ]


def _mean_over_tokens(
    best_TD: Tensor, length_B: Tensor, steps: Sequence[tuple[Tensor, Tensor]]
) -> Tensor:
    """score_BD: the mean over each query's tokens, added up in float64 token by token."""

    def mean(best_TX: Tensor) -> Tensor:
        if len(length_B) == 1 and best_TX.device.type == "cpu":
            # One after the other too; on a GPU the order of a single column is another.
            return (best_TX.double().cumsum(0)[-1:] / length_B).float()
        total_BX = best_TX.new_zeros(len(length_B), best_TX.shape[1], dtype=torch.float64)
        for query_A, token_A in steps:
            total_BX[query_A] += best_TX[token_A]
        return (total_BX / length_B[:, None]).float()

    parts = best_TD.split(_PAGES_A_TASK[best_TD.device.type], dim=1)
    return torch.cat(_on_threads(mean, parts, best_TD.device), dim=1)


def _ragged_range(length_D: Tensor) -> tuple[Tensor, Tensor]:
    """For items one behind the other: each element's item, and its place in the item."""
    item = torch.repeat_interleave(torch.arange(len(length_D)), length_D)
    start = length_D.cumsum(0) - length_D
    return item, torch.arange(len(item)) - start[item]
