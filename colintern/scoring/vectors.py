"""Scores where queries and pages are one vector each: the dot product, in blocks of one shape.

As in `packed`, every matrix product has one fixed shape and is computed by one thread on a CPU, so
that a score depends on its query and page only. It is the very score that `packed.score_pages`
gives for one token each, at a 32nd of its work.
"""

import torch
from torch import Tensor

from colintern.scoring.threads import on_threads

_PAGE_BLOCK, _QUERY_BLOCK = 2_048, 128  # those of `packed` on a CPU


def score_vectors(query_BE: Tensor, page_DE: Tensor) -> Tensor:
    """Score every query against every page.

    Args:
        query_BE: float32, on the device of the pages.
        page_DE: float32.

    Returns:
        score_BD, float32, on that device.
    """
    score_BD = query_BE.new_empty(len(query_BE), len(page_DE))
    blocks = [_filled(block, _QUERY_BLOCK).T for block in query_BE.split(_QUERY_BLOCK)]

    def score(start: int) -> None:
        pages = page_DE[start : start + _PAGE_BLOCK]
        block_XE = _filled(pages, _PAGE_BLOCK)
        for number, column_EK in enumerate(blocks):
            own = score_BD[number * _QUERY_BLOCK : (number + 1) * _QUERY_BLOCK]
            product_XK = torch.mm(block_XE, column_EK.contiguous())
            own[:, start : start + len(pages)] = product_XK[: len(pages), : len(own)].T

    on_threads(score, range(0, len(page_DE), _PAGE_BLOCK), page_DE.device)
    return score_BD


def _filled(vector_XE: Tensor, size: int) -> Tensor:
    """The vectors, with zeros behind them up to `size`."""
    return torch.nn.functional.pad(vector_XE, (0, 0, 0, size - len(vector_XE)))
