"""Exact search in pages whose vectors are of several kinds; some pages are in memory at a time.

What a kind makes of a page is what `colintern embed` writes, by the same functions. Queries stay
float32, turned and cut as the pages. Shapes: T tokens of several pages, N numbers of a vector, S
those of all widths together, B queries, K found pages.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from colintern.features.store import Items
from colintern.model.heads import Heads
from colintern.retrieval.ladder.rungs import Rung
from colintern.retrieval.page_tokens import PageTokens
from colintern.scoring.packed import PackedPages
from colintern.scoring.queries import EmbeddedQueries
from colintern.search import order
from colintern.search.embedding import embedded
from colintern.search.shard import exact_best


def best_by_rung(
    rungs: Sequence[Rung],
    heads: Mapping[int, Heads],
    pages: Items,
    positions: NDArray[np.int64],
    queries: Mapping[int, EmbeddedQueries],
    depth: int,
    on_progress: Callable[[int], None],
) -> list[Tensor]:
    """The best `depth` pages of every query by MaxSim with every page, for each kind of vectors.

    Features are read once, and tokens clustered once for each width.

    Args:
        rungs: the kinds; those of one width and limit stand together.
        heads: for each width of theirs, on the CPU.
        pages: of a feature store.
        positions: which of them are searched; a page's ordinal is its index here.
        queries: for each width.
        depth: how many pages.
        on_progress: told how many more pages are searched, each kind counted.

    Returns:
        key_BK of `order` for each kind, in their order.
    """
    num_queries = len(next(iter(queries.values())))
    found = [torch.full((num_queries, depth), order.NO_PAGE) for _ in rungs]
    widths = list(heads)

    def project(feature_TH: Tensor) -> Tensor:
        return torch.cat([heads[width].exact_pages(feature_TH) for width in widths], dim=1)

    for first, token_TS, lengths in embedded(pages, positions, project, "cpu"):
        ordinal_D = torch.arange(first, first + len(lengths))
        token_TN = dict(zip(widths, token_TS.split(widths, dim=1), strict=True))
        for number, (rung, part) in enumerate(_written(rungs, token_TN, lengths)):
            best = exact_best(part, queries[rung.dim], depth, ordinal_D)
            found[number] = order.merge([found[number], best], depth)
            on_progress(len(lengths))
    return found


def _written(
    rungs: Sequence[Rung], token_TN: Mapping[int, Tensor], lengths: Sequence[int]
) -> Iterator[tuple[Rung, PackedPages]]:
    """Some pages as each kind writes them, one kind in memory at a time."""
    for dim, of_width in groupby(rungs, key=lambda rung: rung.dim):
        pages = [PageTokens(token_PN) for token_PN in token_TN[dim].contiguous().split(lengths)]
        for limit, same in groupby(of_width, key=lambda rung: rung.tokens):
            kept = [page.at_most(limit)[0] for page in pages]
            for rung in same:
                vector_TN = rung.type.read(rung.type.written(torch.cat(kept)))
                yield rung, PackedPages.pack(vector_TN, list(map(len, kept)))
