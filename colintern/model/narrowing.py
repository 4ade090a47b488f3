"""Fewer numbers per embedding: heads that end in some of the axes that embeddings are turned to.

The heads themselves are changed: whoever has the narrowed heads has narrow embeddings, of pages and
of queries alike. Shapes: E embedding width, N numbers that are kept, H features' width.
"""

import copy

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from colintern import storage
from colintern.errors import CheckpointError, UserError, one_line
from colintern.model.heads import Heads

AXES = "axes.safetensors"


def narrowed(heads: Heads, axes_EE: Tensor, dim: int) -> Heads:
    """Heads whose embeddings are turned to the first `dim` axes, and normalised.

    The turn is folded into their last layer: W becomes R[:N] W, computed in float64.

    Args:
        heads: are left as they are.
        axes_EE: orthonormal rows, of `retrieval.narrowing.principal_axes`.
        dim: N; all of E changes no score by more than rounding.

    Raises:
        UserError: `dim` is below 1, or above E.
    """
    check_dim(dim, heads.dim)
    made = copy.deepcopy(heads)
    made.dim = dim
    for name, module in list(made.named_children()):
        if isinstance(module, nn.Sequential):
            last = module[-1]
            assert isinstance(last, nn.Linear)
            module[-1] = _turned(last, axes_EE[:dim])
        elif isinstance(module, nn.Linear):
            setattr(made, name, _turned(module, axes_EE[:dim]))
    return made


def check_dim(dim: int, width: int) -> None:
    """Make sure that embeddings of a width can be cut to `dim` numbers.

    Raises:
        UserError: they cannot.
    """
    if not 1 <= dim <= width:
        raise UserError(f"--dim {dim}: must be from 1 to {width}, the run's heads.dim")


def _turned(layer: nn.Linear, axes_NE: Tensor) -> nn.Linear:
    """A layer that ends in E numbers as one that ends in N."""
    has_bias = layer.bias is not None
    made = nn.Linear(layer.in_features, len(axes_NE), bias=has_bias)
    with torch.no_grad():
        made.weight.copy_(axes_NE.double() @ layer.weight.double())
        if has_bias:
            made.bias.copy_(axes_NE.double() @ layer.bias.double())
    return made


def write_axes(path: str, axes_EE: Tensor) -> None:
    """Write axes: float32 `axes` [E, E]."""
    storage.write_bytes(path, save({"axes": axes_EE}))


def read_axes(path: str) -> Tensor:
    """The axes in a file, float32 [E, E].

    Raises:
        CheckpointError: it is damaged.
    """
    try:
        return load(storage.read_bytes(path))["axes"]
    except (SafetensorError, KeyError) as error:
        raise CheckpointError(f"{path}: holds no axes ({one_line(error)}); embed again") from error
