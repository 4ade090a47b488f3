"""Search over all shards of a corpus: exact, or pooled candidates that are scored again exactly.

Both give the same keys (`order`) whatever the number of shards.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from colintern.search import order
from colintern.search.queries import EmbeddedQueries
from colintern.search.shards import Shards, pipelined

QUERY_BLOCK = 128  # queries sent to the shards at one time


def exact(shards: Shards, queries: EmbeddedQueries, depth: int) -> Iterator[Tensor]:
    """The best `depth` pages of every query by MaxSim with every page.

    Yields:
        key_BK for one block of queries after the other.
    """
    started = (shards.start("exact_best", block, depth) for _, block in queries.blocks(QUERY_BLOCK))
    for parts in pipelined(started):
        yield order.merge(parts, depth)


def pooled(
    shards: Shards, queries: EmbeddedQueries, depth: int, candidates: int
) -> Iterator[Tensor]:
    """The best `depth` pages by MaxSim among the `candidates` nearest by pooled vectors.

    Yields:
        key_BK for one block of queries after the other.
    """
    blocks = [block for _, block in queries.blocks(QUERY_BLOCK)]
    started = (shards.start("pooled_best", block, candidates) for block in blocks)
    for block, parts in zip(blocks, pipelined(started), strict=True):
        chosen = order.to_ordinals(order.merge(parts, candidates))
        yield order.best(rescored(shards, block, chosen), depth)


def rescored(shards: Shards, queries: EmbeddedQueries, ordinal_BC: Tensor) -> Tensor:
    """Exact keys key_BC of chosen pages; `NO_PAGE` where the ordinal is -1."""
    return torch.stack(shards.start("rescore", queries, ordinal_BC)()).amax(dim=0)


def recall(found_BK: Tensor, truth_BK: Tensor) -> float:
    """The share of the pages in `truth_BK` that are also in `found_BK`, mean over queries."""
    shares = []
    for found, truth in zip(found_BK, truth_BK, strict=True):
        pages = truth[truth != order.NO_PAGE]
        shares.append(torch.isin(pages, found).double().mean())
    return float(torch.stack(shares).mean())
