"""MaxSim for search: pages of different lengths, no gradients, near matrix-product speed.

A score depends on its query and page only, not on padding, batch, shard or order. For this, every
matrix product has one fixed shape: a block of page tokens times a block of query tokens. After the
product come a maximum, which does not round, and a sum over the query's tokens in float64, always
in the order of the tokens.

On a CPU each product is computed by one thread (`threads`), so scores do not depend on the number
of threads either.

A page is cut into segments of `_SEGMENT` tokens. The last segment is filled with copies of the
page's last token, which cannot change the maximum. The segments of all pages are stored one after
another, so every block is full, for any lengths of pages. A block of pages stays in the processor's
cache while all query blocks of a wave are multiplied with it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from colintern.scoring.queries import EmbeddedQueries
from colintern.scoring.threads import on_threads

_SEGMENT = 32  # tokens; image tokens come in multiples of 64 or 256, so nothing is wasted
# Tokens in a block of pages and in a block of queries. On a CPU: the fastest found
# (benchmarks/maxsim.py, 1 MiB of L2 cache per core). A GPU needs more work per kernel launch.
_PAGE_BLOCK = {"cpu": 2_048, "cuda": 65_536}
_QUERY_BLOCK = {"cpu": 128, "cuda": 1_024}
_WAVE_TOKENS = 1_024  # query tokens that are multiplied with a block of pages in turn
_CHUNK_SEGMENTS = 8_192  # segments whose maxima are kept at one time: 32 MiB in a wave
_BLOCKS_PER_TASK = 2  # page blocks in one task of a thread: a few milliseconds of work
# Bytes of chosen pages that a thread copies at one time: many blocks, as the last may not be full.
_COPIED_BYTES = {"cpu": 16 * 2**20, "cuda": 512 * 2**20}
_PAGES_PER_TASK = {"cpu": 256, "cuda": 65_536}  # pages whose scores are summed at one time


@dataclass(frozen=True)
class _Chunk:
    """Pages whose segments are stored one after another, pages with fewer segments first.

    Attributes:
        first_segment: index of the first segment.
        num_segments: of all the pages.
        groups: pairs (segments per page, number of such pages that follow each other).
        pages: the index of each page, as the caller counts them.
    """

    first_segment: int
    num_segments: int
    groups: tuple[tuple[int, int], ...]
    pages: Tensor


@dataclass(frozen=True)
class PackedPages:
    """Page embeddings, cut into segments. Pages are counted from 0, in the caller's order.

    Attributes:
        token_SLE: S segments of L = `_SEGMENT` tokens, of pages with fewer segments first; then one
            block of zeros, so that a block may start at any segment.
        first_segment: index of the first segment of each page.
        num_segments: number of segments of each page.
    """

    token_SLE: Tensor
    first_segment: Tensor
    num_segments: Tensor

    @staticmethod
    def pack(token_TE: Tensor, lengths: Sequence[int]) -> "PackedPages":
        """Pack pages.

        Args:
            token_TE: float32, L2-normalised embeddings of all tokens, page after page.
            lengths: tokens of each page, at least 1.
        """
        pages = PackedPages.empty(lengths, token_TE.shape[1], token_TE.device)
        pages.put(0, token_TE, lengths)
        return pages

    @staticmethod
    def empty(lengths: Sequence[int], dim: int, device: torch.device) -> "PackedPages":
        """Space for pages of these lengths; `put` fills it."""
        length_D = torch.tensor(lengths, dtype=torch.int64)
        return _room((length_D + _SEGMENT - 1) // _SEGMENT, dim, device)

    def put(self, first: int, token_TE: Tensor, lengths: Sequence[int]) -> None:
        """Fill in the pages from index `first` on; other arguments as in `pack`."""
        device = token_TE.device
        pages = slice(first, first + len(lengths))
        length_D = torch.tensor(lengths, dtype=torch.int64)
        start_D = length_D.cumsum(0) - length_D
        page_X, offset_X = _ragged_range(self.num_segments[pages] * _SEGMENT)
        source_X = start_D[page_X] + torch.minimum(offset_X, length_D[page_X] - 1)
        target_X = self.first_segment[pages][page_X] * _SEGMENT + offset_X
        self.token_SLE.flatten(0, 1)[target_X.to(device)] = token_TE[source_X.to(device)]

    @property
    def num_pages(self) -> int:
        """The number of pages."""
        return len(self.num_segments)

    def tokens(self, page: int, length: int) -> Tensor:
        """The embeddings token_TE of one page, which has `length` tokens."""
        first, count = int(self.first_segment[page]), int(self.num_segments[page])
        return self.token_SLE[first : first + count].flatten(0, 1)[:length]

    def take(self, page_N: Tensor) -> "PackedPages":
        """A copy of the chosen pages, in the given order."""
        device = self.token_SLE.device
        taken = _room(self.num_segments[page_N], self.token_SLE.shape[2], device)
        by_count = taken.first_segment.argsort()
        item, offset_S = _ragged_range(taken.num_segments[by_count])
        source_S = self.first_segment[page_N[by_count]][item] + offset_S
        own = taken.token_SLE[: len(source_S)]
        torch.index_select(self.token_SLE, 0, source_S.to(device), out=own)
        return taken

    def parts(self, page_N: Tensor, max_bytes: int) -> tuple[Tensor, ...]:
        """Cut `page_N` into parts of about `max_bytes` of embeddings, at least one page each."""
        count_N = self.num_segments[page_N]
        part_N = (count_N.cumsum(0) - count_N) * self.token_SLE[0].nbytes // max_bytes
        _, sizes = part_N.unique_consecutive(return_counts=True)
        return page_N.split(sizes.tolist())

    @cached_property
    def chunks(self) -> list[_Chunk]:
        """All pages, in chunks of about `_CHUNK_SEGMENTS` segments, at least one page each."""
        in_order = self.first_segment.argsort()
        first_D = self.first_segment[in_order]
        chunk_D = first_D // _CHUNK_SEGMENTS
        _, sizes = chunk_D.unique_consecutive(return_counts=True)
        chunks = []
        for pages in in_order.split(sizes.tolist()):
            counts, num_pages = self.num_segments[pages].unique_consecutive(return_counts=True)
            chunks.append(
                _Chunk(
                    int(self.first_segment[pages[0]]),
                    int(self.num_segments[pages].sum()),
                    tuple(zip(counts.tolist(), num_pages.tolist(), strict=True)),
                    pages,
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
            score_BD[rows, chunk.pages.to(device)] = _mean_over_tokens(best_TD, length_B, steps)
    return score_BD


def score_pairs(
    queries: EmbeddedQueries, pages: PackedPages, query_N: Tensor, page_N: Tensor
) -> Tensor:
    """Score chosen pairs of a query and a page; the same scores as from `score_pages`.

    Args:
        queries: on the device of the pages.
        pages: the packed pages.
        query_N: int64, index of the query of each pair, in ascending order.
        page_N: int64, index of its page.

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
        for part_N in pages.parts(own_N, _COPIED_BYTES[device.type])
    ]
    return torch.cat([pages.token_SLE.new_empty(0), *on_threads(score, chosen, device)])


def packed_bytes(lengths: NDArray[np.int32], dim: int) -> int:
    """What `PackedPages` of pages with `lengths` tokens take on a CPU."""
    num_segments = int((-(-lengths.astype(np.int64) // _SEGMENT)).sum())
    return (num_segments * _SEGMENT + _PAGE_BLOCK["cpu"]) * dim * 4


def token_scores(query_QE: Tensor, page_PE: Tensor) -> Tensor:
    """Every token of a query against every token of a page, on the device of the embeddings.

    Returns:
        score_QP, float32: the very products that `score_pages` takes the best of, so that the mean
        of the best of each query token, summed in float64, is the page's score.
    """
    device = page_PE.device
    blocks, size = _query_blocks(query_QE), _PAGE_BLOCK[device.type]
    token_TE = PackedPages.pack(page_PE, [len(page_PE)]).token_SLE.flatten(0, 1)

    def products(start: int) -> Tensor:
        page_block = token_TE[start : start + size]
        return torch.cat([torch.mm(page_block, block) for block in blocks], dim=1)

    parts = on_threads(products, range(0, len(page_PE), size), device)
    return torch.cat(parts)[: len(page_PE), : len(query_QE)].T


def _room(count_D: Tensor, dim: int, device: torch.device) -> PackedPages:
    """Space for pages with these numbers of segments; the embeddings are not filled in yet."""
    block = _PAGE_BLOCK[device.type] // _SEGMENT
    token_SLE = torch.empty(int(count_D.sum()) + block, _SEGMENT, dim, device=device)
    token_SLE[-block:] = 0.0
    by_count = count_D.argsort(stable=True)
    ordered = count_D[by_count]
    first_segment = torch.empty_like(count_D)
    first_segment[by_count] = ordered.cumsum(0) - ordered
    return PackedPages(token_SLE, first_segment, count_D)


def _query_blocks(token_TE: Tensor) -> list[Tensor]:
    """The query tokens as columns, in blocks of the fixed shape; the last is filled with zeros."""
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
    runs = [firsts[n : n + _BLOCKS_PER_TASK] for n in range(0, len(firsts), _BLOCKS_PER_TASK)]
    on_threads(fill, runs, token_SLE.device)
    best_XDK = torch.cat(list(_best_of_pages(best_XSK, chunk.groups)), dim=1)
    return best_XDK.transpose(1, 2).flatten(0, 1)


def _best_of_pages(best_XSK: Tensor, groups: Sequence[tuple[int, int]]) -> Iterator[Tensor]:
    """The maximum over each page's segments: [X, pages, K] for each group of equal pages."""
    first = 0
    for count, num_pages in groups:
        own = best_XSK[:, first : first + count * num_pages]
        yield own.unflatten(1, (num_pages, count)).amax(dim=2)
        first += count * num_pages


def _steps(lengths: Sequence[int], device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """For each position in a query: the queries that are long enough, and their tokens there."""
    length_B = torch.tensor(lengths)
    start_B = length_B.cumsum(0) - length_B
    active = [(length_B > position).nonzero()[:, 0] for position in range(max(lengths))]
    return [
        (query_A.to(device), (start_B[query_A] + position).to(device))
        for position, query_A in enumerate(active)
    ]


def _mean_over_tokens(
    best_TD: Tensor, length_B: Tensor, steps: Sequence[tuple[Tensor, Tensor]]
) -> Tensor:
    """score_BD: the mean over each query's tokens, summed in float64, token by token."""

    def mean(best_TX: Tensor) -> Tensor:
        if len(length_B) == 1 and best_TX.device.type == "cpu":
            # cumsum also adds one token after another; on a GPU its order is different.
            return (best_TX.double().cumsum(0)[-1:] / length_B).float()
        total_BX = best_TX.new_zeros(len(length_B), best_TX.shape[1], dtype=torch.float64)
        for query_A, token_A in steps:
            total_BX[query_A] += best_TX[token_A]
        return (total_BX / length_B[:, None]).float()

    parts = best_TD.split(_PAGES_PER_TASK[best_TD.device.type], dim=1)
    return torch.cat(on_threads(mean, parts, best_TD.device), dim=1)


def _ragged_range(length_D: Tensor) -> tuple[Tensor, Tensor]:
    """For items stored one after another: the item of each element, and its position in it."""
    item = torch.repeat_interleave(torch.arange(len(length_D)), length_D)
    start = length_D.cumsum(0) - length_D
    return item, torch.arange(len(item)) - start[item]
