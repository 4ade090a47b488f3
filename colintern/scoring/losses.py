"""Losses on late-interaction scores, one value per row; the caller averages the global batch.

Shapes: B rows (queries), D pages of the batch, N mined negatives per row, X = D or D + N.
"""

import torch
from torch import Tensor
from torch.nn import functional

_EXCLUDED = float("-inf")


def infonce_loss(
    score_BD: Tensor,
    positive_B: Tensor,
    mask_BD: Tensor,
    negative_score_BN: Tensor | None = None,
    negative_mask_BN: Tensor | None = None,
    *,
    temperature: float = 0.02,
) -> Tensor:
    """Cross-entropy of the positive page against all negatives (InfoNCE, arXiv:1807.03748).

    Args:
        score_BD: scores against the pages of the batch, divided by query length.
        positive_B: the column of each row's positive page.
        mask_BD: true where a page may be a negative; its value at the positive is ignored.
        negative_score_BN: scores against the row's own mined negatives.
        negative_mask_BN: true where there is a mined negative, false for padding.
        temperature: scores are divided by it.

    Returns:
        loss_B, float32; 0 for a row without any negative.
    """
    negative_BX = _negatives(score_BD, positive_B, mask_BD, negative_score_BN, negative_mask_BN)
    positive_B1 = score_BD.gather(1, positive_B[:, None])
    logits = torch.cat([positive_B1, negative_BX], dim=1) / temperature
    target = torch.zeros_like(positive_B)
    return functional.cross_entropy(logits, target, reduction="none")


def pairwise_loss(
    score_BD: Tensor,
    positive_B: Tensor,
    mask_BD: Tensor,
    negative_score_BN: Tensor | None = None,
    negative_mask_BN: Tensor | None = None,
    *,
    temperature: float = 0.02,
) -> Tensor:
    """Softplus of the score of the hardest negative minus the positive (ColPali, 2407.01449).

    Arguments as in `infonce_loss`.

    Returns:
        loss_B, float32; 0 for a row without any negative.
    """
    negative_BX = _negatives(score_BD, positive_B, mask_BD, negative_score_BN, negative_mask_BN)
    positive_B = score_BD.gather(1, positive_B[:, None])[:, 0]
    hardest_B = negative_BX.amax(dim=1)
    return functional.softplus((hardest_B - positive_B) / temperature)


def _negatives(
    score_BD: Tensor,
    positive_B: Tensor,
    mask_BD: Tensor,
    negative_score_BN: Tensor | None,
    negative_mask_BN: Tensor | None,
) -> Tensor:
    """score_BX: the scores of the allowed negatives of each row, -inf for all others."""
    allowed_BD = mask_BD.scatter(1, positive_B[:, None], value=False)
    in_batch = score_BD.where(allowed_BD, _EXCLUDED)
    if negative_score_BN is None or negative_mask_BN is None:
        return in_batch
    return torch.cat([in_batch, negative_score_BN.where(negative_mask_BN, _EXCLUDED)], dim=1)
