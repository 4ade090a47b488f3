"""Fused MaxSim kernels for CUDA, from the package late-interaction-kernels, if it is installed.

They never write the similarities to memory. The price is precision: each tile is rounded to
float16, so a score of normalised embeddings can be wrong by up to 2^-10; and gradients are summed
in no fixed order, so a round does not repeat byte for byte. Not tested by the developers, who have
no GPU; the tests marked `gpu` compare the kernels with the plain code.
"""

import importlib.util

import torch
from torch import Tensor


def kernel_on(device: str | torch.device) -> str:
    """The MaxSim that training uses on a device: `fused` or `plain`."""
    is_installed = importlib.util.find_spec("late_interaction_kernels") is not None
    return "fused" if is_installed and torch.device(device).type == "cuda" else "plain"


def is_usable(embeddings: Tensor) -> bool:
    """Whether the kernels can be used for these embeddings; they do not accept an empty tensor."""
    return embeddings.numel() > 0 and kernel_on(embeddings.device) == "fused"


def maxsim(query_BQE: Tensor, query_mask_BQ: Tensor, pages: Tensor, page_mask: Tensor) -> Tensor:
    """Score against the pages of a batch (`pages` [D, P, E]) or candidates ([B, N, P, E]).

    Returns:
        score_BD or score_BN, float32; -inf for a page without tokens.
    """
    from late_interaction_kernels import (  # pyright: ignore[reportMissingImports]
        maxsim as fused_maxsim,
    )

    # "unified" sums gradients in float32; by default the package may use float16.
    score = fused_maxsim(
        query_BQE, pages, q_mask=query_mask_BQ, d_mask=page_mask, backward="unified"
    )
    score = score.float() / query_mask_BQ.sum(dim=1)[:, None]
    is_empty = ~page_mask.any(dim=-1)
    return torch.where(is_empty, float("-inf"), score)
