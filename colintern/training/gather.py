"""Gathering what every worker embedded, so that gradients find their way back.

`torch.distributed.nn.functional.all_gather` needs collectives in its backward pass that gloo lacks;
this one needs all-gather and all-reduce only. The gradient of a worker's part is the sum of what
all workers found for it: nothing is lost, nothing counted twice.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from colintern.training.batch import share_of
from colintern.training.worker import Worker


class _AllGather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mine: Tensor, worker: Worker) -> Tensor:
        ctx.worker, ctx.rows = worker, mine.shape[0]
        parts = [torch.empty_like(mine) for _ in range(worker.world_size)]
        dist.all_gather(parts, mine.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        total = grads[0].contiguous()
        dist.all_reduce(total)
        start = ctx.worker.rank * ctx.rows
        return total[start : start + ctx.rows], None


def gather_pages(page_BPE: Tensor, global_size: int, worker: Worker) -> Tensor:
    """The pages of all workers, in the order of the global batch.

    Args:
        page_BPE: this worker's share, already padded to the P of the whole batch.
        global_size: D, the pages of the global batch.
        worker: this worker.

    Returns:
        page_DPE; backward gives each worker the whole gradient of its share.
    """
    if worker.world_size == 1:
        return page_BPE
    shares = [
        share_of(global_size, Worker(rank, worker.world_size)) for rank in range(worker.world_size)
    ]
    largest = max(len(share) for share in shares)
    missing = largest - page_BPE.shape[0]
    equal = torch.nn.functional.pad(page_BPE, (0, 0, 0, 0, 0, missing))
    gathered: Tensor = _AllGather.apply(equal, worker)  # pyright: ignore[reportAssignmentType]
    real = [rank * largest + row for rank, share in enumerate(shares) for row in range(len(share))]
    return gathered[torch.tensor(real, device=gathered.device)]
