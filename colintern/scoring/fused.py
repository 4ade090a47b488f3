"""Fused MaxSim kernels for CUDA, from the package late-interaction-kernels when it is installed.

They never write the similarities to memory, and pay with precision: each tile is rounded to
float16, so that a score of normalised embeddings is off by up to 2^-10, and gradients are added up
in the order of threads, so that a round does not repeat byte for byte. They take no NaN for the
largest: a NaN in an embedding shows in the gradient only. The tests marked `gpu` compare them with
the plain path.
"""

import importlib.util

import torch
from torch import Tensor

_NARROWEST = 16  # Triton multiplies no narrower tiles


def kernel_on(device: str | torch.device) -> str:
    """Which MaxSim training uses on a device: `fused` or `plain`."""
    is_installed = importlib.util.find_spec("late_interaction_kernels") is not None
    return "fused" if is_installed and torch.device(device).type == "cuda" else "plain"


def is_usable(embeddings: Tensor) -> bool:
    """Whether the kernels take these embeddings: not none at all, and not narrower than 16."""
    is_fit = embeddings.numel() > 0 and embeddings.shape[-1] >= _NARROWEST
    return is_fit and kernel_on(embeddings.device) == "fused"


def maxsim(query_BQE: Tensor, query_mask_BQ: Tensor, pages: Tensor, page_mask: Tensor) -> Tensor:
    """Scores of the in-batch form (`pages` [D, P, E]) or the candidates' form ([B, N, P, E]).

    Returns:
        score_BD or score_BN, float32; -inf for a page without tokens.
    """
    from late_interaction_kernels import (  # pyright: ignore[reportMissingImports]
        maxsim as fused_maxsim,
    )

    # "unified" adds gradients up in float32; left to itself the package may do so in float16.
    score = fused_maxsim(
        query_BQE, pages, q_mask=query_mask_BQ, d_mask=page_mask, backward="unified"
    )
    score = score.float() / query_mask_BQ.sum(dim=1)[:, None]
    is_empty = ~page_mask.any(dim=-1)
    return torch.where(is_empty, float("-inf"), score)
