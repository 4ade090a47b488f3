"""What both trainings do at a step: learn from it, and tell of it."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from colintern.log import say

_MAX_GRAD_NORM = 1.0
_LOG = "log.jsonl"


def learn(
    total: Tensor, module: nn.Module, optimizers: Sequence[torch.optim.Optimizer], rate: float
) -> float:
    """Follow a loss; returns the norm of its gradient.

    Args:
        total: the loss.
        module: all that is learned.
        optimizers: each with its peak learning rate in its parameter group.
        rate: the share of the peaks in this step.
    """
    total.backward()
    norm = torch.nn.utils.clip_grad_norm_(module.parameters(), _MAX_GRAD_NORM)
    for optimizer in optimizers:
        group = optimizer.param_groups[0]
        group["lr"] = group["peak"] * rate
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return float(norm)


def with_peaks(*optimizers: torch.optim.Optimizer) -> list[torch.optim.Optimizer]:
    """Optimizers that remember the learning rate they were made with as their peak."""
    for optimizer in optimizers:
        optimizer.param_groups[0]["peak"] = optimizer.param_groups[0]["lr"]
    return list(optimizers)


def say_step(folder: Path, done: int, steps: int, numbers: dict[str, float]) -> None:
    """Tell and log what a step was like."""
    shown = "   ".join(f"{name} {value:.3f}" for name, value in numbers.items())
    say("reader", "step %6d / %d   %s", done, steps, shown)
    note(folder, {"step": done, **numbers})


def note(folder: Path, record: dict[str, Any]) -> None:
    """Add a record to the log of a run."""
    with (folder / _LOG).open("a") as file:
        file.write(json.dumps({"time": time.time(), **record}) + "\n")


def cut_log(folder: Path, done: int) -> None:
    """Forget what was logged of steps that a killed run did after its state was saved."""
    path = folder / _LOG
    if path.exists():
        lines = path.read_text().splitlines(keepends=True)
        fresh = folder / f"{_LOG}.fresh"
        fresh.write_text("".join(line for line in lines if json.loads(line)["step"] <= done))
        fresh.rename(path)


def num_parameters(module: nn.Module) -> str:
    """For a person: `4,777,728`."""
    return f"{sum(parameter.numel() for parameter in module.parameters()):,}"
