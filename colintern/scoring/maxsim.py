"""MaxSim for training: differentiable, on padded batches, within a memory budget.

For every query token the best page token's dot product, summed over the query's tokens in float64,
divided by their number (ColBERT, https://arxiv.org/abs/2004.12832; ColPali,
https://arxiv.org/abs/2407.01449). Masks are arguments and never guessed from values; a masked page
token is -inf before the maximum.

For the backward pass only the index of each maximum is kept. The similarities are computed page by
page, within `budget_bytes`, and dropped.

Shapes: B queries, D pages, N candidates per query, Q query tokens, P page tokens, E embedding
width. G and R let one function serve both forms: G = B and R = Q for candidates; G = 1, R = B * Q
and N = D for pages of the batch.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from colintern.scoring import fused

DEFAULT_BUDGET_BYTES = 256 * 2**20


def maxsim_in_batch(
    query_BQE: Tensor,
    query_mask_BQ: Tensor,
    page_DPE: Tensor,
    page_mask_DP: Tensor,
    *,
    budget_bytes: int = DEFAULT_BUDGET_BYTES,
) -> Tensor:
    """Score every query against every page.

    Args:
        query_BQE: query embeddings, float32.
        query_mask_BQ: bool, true for real tokens; every query has at least one.
        page_DPE: page embeddings, float32.
        page_mask_DP: bool, true for real tokens; a page without tokens gets -inf.
        budget_bytes: memory for similarities at one time; enough for one page is always used.

    Returns:
        score_BD, float32, on the device of the embeddings.
    """
    if fused.is_usable(query_BQE):
        return fused.maxsim(query_BQE, query_mask_BQ, page_DPE, page_mask_DP)
    num_queries, num_tokens, _ = query_BQE.shape
    best_GRN: Tensor = _BestTokens.apply(
        query_BQE.flatten(0, 1)[None], page_DPE[None], page_mask_DP[None], budget_bytes
    )  # pyright: ignore[reportAssignmentType]
    return _mean_over_tokens(best_GRN[0].unflatten(0, (num_queries, num_tokens)), query_mask_BQ)


def maxsim_candidates(
    query_BQE: Tensor,
    query_mask_BQ: Tensor,
    page_BNPE: Tensor,
    page_mask_BNP: Tensor,
    *,
    budget_bytes: int = DEFAULT_BUDGET_BYTES,
) -> Tensor:
    """Score every query against its own candidates.

    Args:
        query_BQE: query embeddings, float32.
        query_mask_BQ: bool, true for real tokens; every query has at least one.
        page_BNPE: embeddings of the candidates of each query, float32.
        page_mask_BNP: bool, true for real tokens; a candidate without tokens gets -inf.
        budget_bytes: memory for similarities at one time; enough for one page per query is always
            used.

    Returns:
        score_BN, float32, on the device of the embeddings.
    """
    if fused.is_usable(query_BQE):
        return fused.maxsim(query_BQE, query_mask_BQ, page_BNPE, page_mask_BNP)
    best_BQN: Tensor = _BestTokens.apply(query_BQE, page_BNPE, page_mask_BNP, budget_bytes)  # pyright: ignore[reportAssignmentType]
    return _mean_over_tokens(best_BQN, query_mask_BQ)


class _BestTokens(torch.autograd.Function):
    """The best similarity of every query token in every page: best_GRN."""

    @staticmethod
    def forward(
        ctx: Any, query_GRE: Tensor, page_GNPE: Tensor, mask_GNP: Tensor, budget_bytes: int
    ) -> Tensor:
        best, index = [], []
        for pages in _page_chunks(query_GRE, page_GNPE, budget_bytes):
            chunk = page_GNPE[:, pages]
            similarity = torch.bmm(query_GRE, chunk.flatten(1, 2).transpose(1, 2))
            similarity = similarity.unflatten(2, chunk.shape[1:3])
            similarity.masked_fill_(~mask_GNP[:, None, pages], float("-inf"))
            values, indexes = similarity.max(dim=3)
            best.append(values)
            index.append(indexes)
        best_GRN = torch.cat(best, dim=2)
        ctx.save_for_backward(query_GRE, page_GNPE, torch.cat(index, dim=2), best_GRN.isfinite())
        ctx.budget_bytes = budget_bytes
        return best_GRN

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        query_GRE, page_GNPE, index_GRN, finite_GRN = ctx.saved_tensors
        # A page without tokens has the score -inf, and no token that could receive a gradient.
        weight_GRN = grads[0].where(finite_GRN, 0.0)
        query_grad, page_grad = torch.zeros_like(query_GRE), torch.zeros_like(page_GNPE)
        for pages in _page_chunks(query_GRE, page_GNPE, ctx.budget_bytes):
            chunk = page_GNPE[:, pages]
            # A matrix product with mostly zero weights gives the same bytes every time; adding
            # rows to the gradients would not, as the order of the threads varies.
            shape = (*weight_GRN.shape[:2], *chunk.shape[1:3])
            weight = weight_GRN.new_zeros(shape)
            weight.scatter_(3, index_GRN[:, :, pages, None], weight_GRN[:, :, pages, None])
            weight = weight.flatten(2, 3)
            query_grad += torch.bmm(weight, chunk.flatten(1, 2))
            page_grad[:, pages] = torch.bmm(weight.transpose(1, 2), query_GRE).view_as(chunk)
        return query_grad, page_grad, None, None


def _page_chunks(query_GRE: Tensor, page_GNPE: Tensor, budget_bytes: int) -> Iterator[slice]:
    groups, rows, _ = query_GRE.shape
    num_pages, page_tokens = page_GNPE.shape[1:3]
    bytes_per_page = max(1, groups * rows * page_tokens * query_GRE.element_size())
    size = max(1, budget_bytes // bytes_per_page)
    for start in range(0, num_pages, size):
        yield slice(start, min(start + size, num_pages))


def _mean_over_tokens(best_BQN: Tensor, query_mask_BQ: Tensor) -> Tensor:
    kept = best_BQN.where(query_mask_BQ[:, :, None], 0.0)
    return (kept.double().sum(dim=1) / query_mask_BQ.sum(dim=1)[:, None]).float()
