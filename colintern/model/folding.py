"""Heads over principal components, made into heads over the backbone's own features.

Shapes: H backbone width, K numbers per token in the basis, E embedding width.
"""

import copy

import torch
from torch import nn

from colintern.model.basis import Basis
from colintern.model.heads import Heads


def folded(heads: Heads, basis: Basis) -> Heads:
    """Heads that give from features what `heads` give from their coordinates in `basis`.

    W (x - mean) C.T is (W C) x with a bias of -(W C) mean. So a linear head gets a bias, and of an
    MLP the first layer takes the fold. Whoever uses them needs no basis; features of several
    layers still have to be scaled as the backbone's are here.
    """
    made = copy.deepcopy(heads)
    for name, module in list(made.named_children()):
        if isinstance(module, nn.Identity):  # layers that are not mixed
            continue
        if isinstance(module, nn.Sequential):
            first = module[0]
            assert isinstance(first, nn.Linear)
            module[0] = _folded(first, basis)
        else:
            assert isinstance(module, nn.Linear)
            setattr(made, name, _folded(module, basis))
    return made


def _folded(layer: nn.Linear, basis: Basis) -> nn.Linear:
    """A layer over coordinates as one over features; computed in float64, kept in float32."""
    weight_OH = layer.weight.detach().double() @ basis.components_KH.double()
    bias_O = -weight_OH @ basis.mean_H.double()
    if layer.bias is not None:
        bias_O = bias_O + layer.bias.detach().double()
    made = nn.Linear(weight_OH.shape[1], weight_OH.shape[0])
    with torch.no_grad():
        made.weight.copy_(weight_OH)
        made.bias.copy_(bias_O)
    return made
