"""Muon for the matrices, AdamW for the rest."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic iteration, from Jordan et al. (2024)
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal (Jordan et al. 2024, github.com/KellerJordan/Muon).

    In float32: `torch.optim.Muon` iterates in bfloat16, which is many times slower on a CPU without
    bfloat16 units.

    Args:
        parameters: matrices; a convolution's weight counts as [out, all the rest].
        lr: learning rate, for a square matrix.
        momentum: of the running mean of gradients, with Nesterov momentum.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, momentum: float = 0.95):
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Change each matrix by an orthogonal one; matrices of one shape are computed together."""
        for group in self.param_groups:
            ahead: dict[nn.Parameter, Tensor] = {}
            for parameter in group["params"]:
                state = self.state[parameter]
                if "mean" not in state:
                    state["mean"] = torch.zeros_like(parameter)
                state["mean"].lerp_(parameter.grad, 1 - group["momentum"])
                ahead[parameter] = parameter.grad.lerp(state["mean"], group["momentum"])
            for shape in dict.fromkeys(parameter.shape for parameter in ahead):
                same = [parameter for parameter in ahead if parameter.shape == shape]
                updates = orthogonal(torch.stack([ahead[parameter] for parameter in same]))
                rate = group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
                for parameter, update in zip(same, updates, strict=True):
                    parameter.sub_(update, alpha=rate)


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearest matrices whose singular values are all about 1, by Newton-Schulz iterations.

    Args:
        matrices: [number, rows, columns] float32.
    """
    a, b, c = _COEFFICIENTS
    is_tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if is_tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if is_tall else x


def split_parameters(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The matrices inside the layers, and the other parameters (embeddings, norms, biases, ...)."""
    matrices, rest = [], []
    for name, parameter in module.named_parameters():
        is_layer = ".layers." in name or ".layer." in name or "multi_modal_projector" in name
        (matrices if is_layer and parameter.ndim == 2 else rest).append(parameter)
    return matrices, rest
