"""Fused MaxSim kernels for CUDA, from the package late-interaction-kernels when it is installed.

They never write the similarities to memory. Untested where the project is developed: there is no
GPU; the tests marked `gpu` compare them with the plain path.
"""

import importlib.util

import torch
from torch import Tensor


def is_usable(embeddings: Tensor) -> bool:
    """Whether the kernels are installed, and there are embeddings, on a GPU that they support."""
    has_any = embeddings.numel() > 0  # a worker without rows has none, and kernels no grid for it
    return (
        has_any
        and embeddings.is_cuda
        and importlib.util.find_spec("late_interaction_kernels") is not None
    )


def maxsim(query_BQE: Tensor, query_mask_BQ: Tensor, pages: Tensor, page_mask: Tensor) -> Tensor:
    """Scores of the in-batch form (`pages` [D, P, E]) or the candidates' form ([B, N, P, E]).

    The kernels add up in float32, unlike the plain path.

    Returns:
        score_BD or score_BN, float32; -inf for a page without tokens.
    """
    from late_interaction_kernels import (  # pyright: ignore[reportMissingImports]
        maxsim as fused_maxsim,
    )

    score = fused_maxsim(query_BQE, pages, q_mask=query_mask_BQ, d_mask=page_mask)
    score = score.float() / query_mask_BQ.sum(dim=1)[:, None]
    is_empty = ~page_mask.any(dim=-1)
    return torch.where(is_empty, float("-inf"), score)
