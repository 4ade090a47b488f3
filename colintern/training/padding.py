"""Ragged embeddings to padded ones; masks come from the lengths, never from values.

Shapes: B rows, N negatives a row, X items, P tokens of the longest, E embedding width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def pad_items(token_TE: Tensor, lengths: Sequence[int], width: int | None = None) -> Tensor:
    """Ragged tokens to [items, longest (or `width`), E], zeros behind each item.

    In one assignment: item by item, as `pad_sequence` does it, the backward pass would copy the
    whole gradient once for every item.
    """
    width = max(lengths, default=0) if width is None else width
    padded = token_TE.new_zeros(len(lengths), width, token_TE.shape[-1])
    return padded.index_put((token_mask(lengths, width, token_TE.device),), token_TE)


def token_mask(lengths: Sequence[int], width: int, device: torch.device) -> Tensor:
    """[items, width], true for an item's own tokens."""
    ends = torch.tensor(lengths, device=device)
    return torch.arange(width, device=device) < ends[:, None]


def pad_negatives(token_TE: Tensor, lengths_BN: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Ragged negatives of ragged rows to page_BNPE and its token mask_BNP."""
    num_negatives = max(len(lengths) for lengths in lengths_BN)
    filled = [lengths + [0] * (num_negatives - len(lengths)) for lengths in lengths_BN]
    flat = [length for lengths in filled for length in lengths]
    page_XPE = pad_items(token_TE, flat)
    mask_XP = token_mask(flat, page_XPE.shape[1], token_TE.device)
    shape = (len(lengths_BN), num_negatives)
    return page_XPE.unflatten(0, shape), mask_XP.unflatten(0, shape)
