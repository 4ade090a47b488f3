"""Exact search over embeddings of any model, with one part of the corpus in memory at a time."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from colintern.scoring.packed import PackedPages
from colintern.scoring.queries import EmbeddedQueries
from colintern.scoring.vectors import score_vectors
from colintern.search import order
from colintern.search.searcher import QUERY_BLOCK
from colintern.search.shard import exact_best

Part = TypeVar("Part", PackedPages, Tensor)


def best_by_tokens(
    parts: Iterable[tuple[Tensor, PackedPages]], queries: EmbeddedQueries, depth: int
) -> Iterator[Tensor]:
    """The best `depth` pages of every query by MaxSim with every page.

    Args:
        parts: ordinals of some pages, int64, and their embeddings; in any order. A page that is in
            no part is not found. Each part is asked for once and let go before the next.
        queries: embedded by the same model as the pages.
        depth: how many pages.

    Yields:
        key_BK of `order` for some queries after the others, once all parts have been searched.
    """

    def best(ordinal_D: Tensor, part: PackedPages) -> Tensor:
        return exact_best(part, queries, depth, ordinal_D)

    return _merged(best, parts, len(queries), depth)


def best_by_vectors(
    parts: Iterable[tuple[Tensor, Tensor]], query_BE: Tensor, depth: int
) -> Iterator[Tensor]:
    """The best `depth` pages of every query by the dot product of one vector each.

    Args:
        parts: ordinals of some pages, and page_DE, float32; otherwise as in `best_by_tokens`.
        query_BE: float32, on the device of the pages.
        depth: how many pages.

    Yields:
        As `best_by_tokens`.
    """

    def best(ordinal_D: Tensor, page_DE: Tensor) -> Tensor:
        found = [torch.empty(0, depth, dtype=torch.int64)]
        for part_BE in query_BE.split(QUERY_BLOCK):
            keys = order.to_keys(score_vectors(part_BE, page_DE), ordinal_D.to(page_DE.device))
            found.append(order.best(keys, depth).cpu())
        return torch.cat(found)

    return _merged(best, parts, len(query_BE), depth)


def _merged(
    best: Callable[[Tensor, Part], Tensor],
    parts: Iterable[tuple[Tensor, Part]],
    num_queries: int,
    depth: int,
) -> Iterator[Tensor]:
    """The best of all parts. `best` gives the keys of a part."""
    key_BK = torch.full((num_queries, depth), order.NO_PAGE)
    for part in parts:
        key_BK = order.merge([key_BK, best(*part)], depth)
    yield from (block for block in key_BK.split(QUERY_BLOCK) if len(block))
