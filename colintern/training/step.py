"""One training step: embed, gather, score, loss, finite check, clip, update."""

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from colintern.config.schema import TrainingConfig
from colintern.model.heads import Heads
from colintern.scoring.losses import infonce_loss, pairwise_loss
from colintern.scoring.maxsim import maxsim_candidates, maxsim_in_batch
from colintern.training.batch import Batch
from colintern.training.finite import FiniteGuard
from colintern.training.gather import gather_pages
from colintern.training.padding import pad_items, pad_negatives, token_mask
from colintern.training.strategy import Strategy
from colintern.training.worker import Worker


@dataclass(frozen=True)
class StepResult:
    """The loss of the global batch, and the norm of its gradient before clipping.

    `updated` is whether the heads were updated: false only on a GPU, between a step that was not
    finite and the next time that the host looks.
    """

    loss: Tensor
    grad_norm: Tensor
    updated: Tensor


def train_step(
    heads: Heads,
    strategy: Strategy,
    batch: Batch,
    learning_rate: float,
    training: TrainingConfig,
    worker: Worker,
    guard: FiniteGuard,
) -> StepResult:
    """Update the heads with one global batch, of which `batch` is this worker's share.

    Raises:
        NonFiniteError: loss or gradient was not finite on some worker, in this step or, on a GPU,
            in one before it; no worker has updated since.
    """
    query_TE, page_TE = strategy.embed(batch.query_TH, batch.page_TH)
    loss_B = row_losses(query_TE, page_TE, batch, training, worker)
    loss = loss_B.sum() / len(batch.global_page_lengths)
    strategy.backward(loss * worker.world_size)  # strategies average over workers

    loss = _summed(loss.detach(), worker)
    grad_norm = torch.nn.utils.clip_grad_norm_(heads.parameters(), training.max_grad_norm)
    may_update = guard.admit(loss, grad_norm, batch.step)
    strategy.step(learning_rate, may_update)
    return StepResult(loss, grad_norm, may_update)


def row_losses(
    query_TE: Tensor, page_TE: Tensor, batch: Batch, training: TrainingConfig, worker: Worker
) -> Tensor:
    """The losses of this worker's rows, loss_B, against all pages of the global batch."""
    device = page_TE.device
    own, negatives = page_TE.split([sum(batch.page_lengths), _num_negative_tokens(batch)])
    width = max(batch.global_page_lengths)
    page_DPE = gather_pages(
        pad_items(own, batch.page_lengths, width), len(batch.global_page_lengths), worker
    )
    query_BQE = pad_items(query_TE, batch.query_lengths)
    query_mask_BQ = token_mask(batch.query_lengths, query_BQE.shape[1], device)
    page_mask_DP = token_mask(batch.global_page_lengths, width, device)
    score_BD = maxsim_in_batch(query_BQE, query_mask_BQ, page_DPE, page_mask_DP)

    negative_score_BN, negative_mask_BN = None, None
    if negatives.shape[0]:
        negative_BNPE, token_mask_BNP = pad_negatives(negatives, batch.negative_lengths)
        negative_mask_BN = token_mask_BNP.any(dim=2)
        negative_score_BN = maxsim_candidates(
            query_BQE, query_mask_BQ, negative_BNPE, token_mask_BNP
        )
    loss = infonce_loss if training.loss == "infonce" else pairwise_loss
    return loss(
        score_BD,
        batch.positive_B,
        batch.mask_BD,
        negative_score_BN,
        negative_mask_BN,
        temperature=training.temperature,
    )


def _num_negative_tokens(batch: Batch) -> int:
    return sum(sum(lengths) for lengths in batch.negative_lengths)


def _summed(value: Tensor, worker: Worker) -> Tensor:
    if worker.world_size > 1:
        dist.all_reduce(value)
    return value
