"""How gradients are shared between workers: DDP, DeepSpeed, or not at all.

Both average gradients over workers, so the step hands them the loss times the world size. Clipping,
the finite check and the schedule are the step's own, the same for all.
"""

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from colintern.config import TrainingConfig
from colintern.model.heads import Heads
from colintern.training.place import Place


class Strategy(Protocol):
    """The heads as they are trained in a group of workers."""

    def embed(self, query_TH: Tensor, page_TH: Tensor) -> tuple[Tensor, Tensor]:
        """Embed queries and pages: query_TE, page_TE."""
        ...

    def backward(self, loss: Tensor) -> None:
        """Compute gradients, averaged over workers, into the parameters."""
        ...

    def step(self, learning_rate: float) -> None:
        """Update the heads and clear the gradients."""
        ...


class DdpStrategy:
    """Torch's DistributedDataParallel; with one worker, the plain heads."""

    def __init__(self, heads: Heads, training: TrainingConfig, place: Place) -> None:
        self._module = heads if place.world_size == 1 else DistributedDataParallel(heads)
        self._optimizer = _optimizer(heads, training)

    def embed(self, query_TH: Tensor, page_TH: Tensor) -> tuple[Tensor, Tensor]:
        """Embed queries and pages: query_TE, page_TE."""
        return self._module(query_TH, page_TH)

    def backward(self, loss: Tensor) -> None:
        """Compute gradients, averaged over workers, into the parameters."""
        loss.backward()

    def step(self, learning_rate: float) -> None:
        """Update the heads and clear the gradients."""
        _set_learning_rate(self._optimizer, learning_rate)
        self._optimizer.step()
        self._optimizer.zero_grad()


class DeepSpeedStrategy:
    """DeepSpeed with ZeRO stage 0: every worker holds the heads and the optimiser's state."""

    def __init__(self, heads: Heads, training: TrainingConfig, place: Place) -> None:
        import deepspeed  # an extra; imported only where it is asked for

        settings = {
            "train_micro_batch_size_per_gpu": 1,
            "train_batch_size": place.world_size,
            "zero_optimization": {"stage": 0},
            "zero_allow_untested_optimizer": True,
        }
        engine, *_ = deepspeed.initialize(
            model=heads, optimizer=_optimizer(heads, training), config=settings
        )
        self._engine: Any = engine

    def embed(self, query_TH: Tensor, page_TH: Tensor) -> tuple[Tensor, Tensor]:
        """Embed queries and pages: query_TE, page_TE."""
        return self._engine(query_TH, page_TH)

    def backward(self, loss: Tensor) -> None:
        """Compute gradients, averaged over workers, into the parameters."""
        self._engine.backward(loss)

    def step(self, learning_rate: float) -> None:
        """Update the heads and clear the gradients."""
        _set_learning_rate(self._engine.optimizer, learning_rate)
        self._engine.step()


def make_strategy(heads: Heads, training: TrainingConfig, place: Place) -> Strategy:
    """The strategy named in the configuration."""
    kind = DeepSpeedStrategy if training.strategy == "deepspeed" else DdpStrategy
    return kind(heads, training, place)


def _optimizer(heads: Heads, training: TrainingConfig) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        heads.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
    )


def _set_learning_rate(optimizer: Any, learning_rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
