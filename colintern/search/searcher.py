"""Search over all shards of a corpus: exact, or pooled candidates that are scored again exactly.

Both give the same keys (`order`) whatever the number of shards.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from colintern.scoring.queries import EmbeddedQueries
from colintern.search import order
from colintern.search.shards import Shards
from colintern.streams import pipelined

QUERY_BLOCK = 128  # queries sent to the shards at one time


def exact(shards: Shards, queries: EmbeddedQueries, depth: int | Sequence[int]) -> Iterator[Tensor]:
    """The best `depth` pages of every query by MaxSim with every page.

    Args:
        shards: the corpus.
        queries: what is searched for.
        depth: for all queries, or for each block of `QUERY_BLOCK` of them.

    Yields:
        key_BK for one block of queries after the other.
    """
    blocks = _blocks(queries, depth)
    started = (shards.exact_best(block, deep) for block, deep in blocks)
    for (_, deep), parts in zip(blocks, pipelined(started), strict=True):
        yield order.merge(parts, deep)


def pooled(
    shards: Shards, queries: EmbeddedQueries, depth: int | Sequence[int], candidates: int
) -> Iterator[Tensor]:
    """The best `depth` pages by MaxSim among the `candidates` nearest by pooled vectors.

    Args:
        shards: the corpus.
        queries: what is searched for.
        depth: for all queries, or for each block of `QUERY_BLOCK` of them.
        candidates: pages that are scored exactly for every query, `depth` at least.

    Yields:
        key_BK for one block of queries after the other.
    """
    blocks = [(block, deep, max(candidates, deep)) for block, deep in _blocks(queries, depth)]
    started = (shards.pooled_best(block, wide) for block, _, wide in blocks)
    for (block, deep, wide), parts in zip(blocks, pipelined(started), strict=True):
        chosen = order.to_ordinals(order.merge(parts, wide))
        yield order.best(rescored(shards, block, chosen), deep)


def rescored(shards: Shards, queries: EmbeddedQueries, ordinal_BC: Tensor) -> Tensor:
    """Exact keys key_BC of chosen pages; `NO_PAGE` where the ordinal is -1."""
    return torch.stack(shards.rescore(queries, ordinal_BC)()).amax(dim=0)


def recall(found_BK: Tensor, truth_BK: Tensor) -> float:
    """The share of the pages in `truth_BK` that are also in `found_BK`, mean over queries."""
    shares = []
    for found, truth in zip(found_BK, truth_BK, strict=True):
        pages = truth[truth != order.NO_PAGE]
        shares.append(torch.isin(pages, found).double().mean())
    return float(torch.stack(shares).mean())


def _blocks(
    queries: EmbeddedQueries, depth: int | Sequence[int]
) -> list[tuple[EmbeddedQueries, int]]:
    """What is sent at one time, and how deep it is searched."""
    blocks = [block for _, block in queries.blocks(QUERY_BLOCK)]
    depths = [depth] * len(blocks) if isinstance(depth, int) else depth
    return list(zip(blocks, depths, strict=True))
