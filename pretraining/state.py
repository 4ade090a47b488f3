"""The state of a pretraining on disk: weights and optimisers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

_FILE = "state.safetensors"


def save_state(
    folder: Path,
    module: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    done: int,
) -> None:
    """Write weights and optimiser states; nothing is pickled.

    Args:
        folder: where.
        module: its weights.
        optimizers: their states.
        done: steps.
    """
    tensors = {f"model/{name}": value for name, value in module.state_dict().items()}
    for number, optimizer in enumerate(optimizers):
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{number}/{index}/{key}": value for key, value in state.items()}
    fresh = folder / "state.fresh"
    save_file(
        {name: value.contiguous() for name, value in tensors.items()}, fresh, {"done": str(done)}
    )
    fresh.rename(folder / _FILE)


def load_state(folder: Path, module: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> int:
    """Load the last state, if there is one; returns the number of steps it has done."""
    path = folder / _FILE
    if not path.exists():
        return 0
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        done = int(file.metadata()["done"])
    module.load_state_dict(_under("model/", tensors))
    for number, optimizer in enumerate(optimizers):
        document = optimizer.state_dict()
        states: dict[int, dict[str, Any]] = {}
        for name, value in _under(f"optimizer/{number}/", tensors).items():
            index, key = name.split("/")
            states.setdefault(int(index), {})[key] = value
        optimizer.load_state_dict({**document, "state": states})
    return done


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin so, without that."""
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
