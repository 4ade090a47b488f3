"""How gradients are shared between workers: DDP, DeepSpeed, or not at all.

Both average gradients over workers, so the step hands them the loss times the world size. Clipping,
the finite check and the schedule are the step's own, the same for all.
"""

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from colintern.config.schema import TrainingConfig
from colintern.model.heads import Heads
from colintern.training.worker import Worker


class Strategy(Protocol):
    """The heads as they are trained in a group of workers."""

    def embed(self, query_TH: Tensor, page_TH: Tensor) -> tuple[Tensor, Tensor]:
        """Embed queries and pages: query_TE, page_TE."""
        ...

    def backward(self, loss: Tensor) -> None:
        """Compute gradients, averaged over workers, into the parameters."""
        ...

    def step(self, learning_rate: float, may_update: Tensor) -> None:
        """Update the heads, unless they may not be, and clear the gradients."""
        ...


class DdpStrategy:
    """Torch's DistributedDataParallel; with one worker, the plain heads."""

    def __init__(self, heads: Heads, training: TrainingConfig, worker: Worker) -> None:
        self._module = heads if worker.world_size == 1 else DistributedDataParallel(heads)
        self._optimizer = _optimizer(heads, training)

    def embed(self, query_TH: Tensor, page_TH: Tensor) -> tuple[Tensor, Tensor]:
        """Embed queries and pages: query_TE, page_TE."""
        return self._module(query_TH, page_TH)

    def backward(self, loss: Tensor) -> None:
        """Compute gradients, averaged over workers, into the parameters."""
        loss.backward()

    def step(self, learning_rate: float, may_update: Tensor) -> None:
        """Update the heads, unless they may not be, and clear the gradients."""
        _prepare(self._optimizer, learning_rate, may_update)
        self._optimizer.step()
        self._optimizer.zero_grad()


class DeepSpeedStrategy:
    """DeepSpeed with ZeRO stage 0: every worker holds the heads and the optimiser's state."""

    def __init__(self, heads: Heads, training: TrainingConfig, worker: Worker) -> None:
        import deepspeed  # an extra; imported only where it is asked for

        settings = {
            "train_micro_batch_size_per_gpu": 1,
            "train_batch_size": worker.world_size,
            "zero_optimization": {"stage": 0},
            "zero_allow_untested_optimizer": True,
        }
        self._optimizer = _optimizer(heads, training)
        engine, *_ = deepspeed.initialize(model=heads, optimizer=self._optimizer, config=settings)
        self._engine: Any = engine

    def embed(self, query_TH: Tensor, page_TH: Tensor) -> tuple[Tensor, Tensor]:
        """Embed queries and pages: query_TE, page_TE."""
        return self._engine(query_TH, page_TH)

    def backward(self, loss: Tensor) -> None:
        """Compute gradients, averaged over workers, into the parameters."""
        self._engine.backward(loss)

    def step(self, learning_rate: float, may_update: Tensor) -> None:
        """Update the heads, unless they may not be, and clear the gradients."""
        _prepare(self._optimizer, learning_rate, may_update)
        self._engine.step()


def make_strategy(heads: Heads, training: TrainingConfig, worker: Worker) -> Strategy:
    """The strategy named in the configuration."""
    kind = DeepSpeedStrategy if training.strategy == "deepspeed" else DdpStrategy
    return kind(heads, training, worker)


def _optimizer(heads: Heads, training: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW; on a GPU the fused one, which can be told on the device to skip an update."""
    parameters = list(heads.parameters())
    return torch.optim.AdamW(
        parameters,
        lr=training.learning_rate,
        weight_decay=training.weight_decay,
        fused=parameters[0].is_cuda,
    )


def _prepare(optimizer: Any, learning_rate: float, may_update: Tensor) -> None:
    """Set the rate of the next update; `found_inf` is how torch's own GradScaler skips one.

    An optimiser that is not fused runs on the CPU, where a step that may not update has raised.
    """
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    if optimizer.defaults["fused"]:
        optimizer.found_inf = (~may_update).float()
