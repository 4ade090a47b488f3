"""Fewer numbers per embedding (`--dim`): rotated to principal axes, cut, normalised again.

The heads themselves are changed: whoever has the narrowed heads has narrow embeddings, of pages and
of queries alike. Shapes: T tokens, E embedding width, N numbers that are kept, H features' width.
"""

import copy
import random

import numpy as np
import torch
from torch import Tensor, nn

from colintern.errors import UserError
from colintern.model import basis
from colintern.model.heads import Heads
from colintern.retrieval.finished import FinishedRun
from colintern.runs.opened import OpenedRun
from colintern.search.embedding import embedded

# 16,384 tokens at most: 128 for each axis at a width of 128. Many pages with some tokens each say
# more than few pages with all of theirs.
_MAX_PAGES = 256
_TOKENS_OF_A_PAGE = 64


def principal_axes(run: FinishedRun) -> Tensor:
    """The principal axes of a sample of the run's training pages, as its heads embed them.

    The same ones whenever they are asked for: the sample depends on the run's seed, and on the
    manifest that the run has recorded. They are the eigenvectors of the second moment; no mean is
    subtracted. So the turn changes no product of two embeddings, and the first N axes are those
    that keep most of what products are made of.

    Args:
        run: its training set still stands where it was.

    Returns:
        axes_EE, float32, orthonormal rows, the axis with most first.
    """
    view, store = OpenedRun(run.config, run.backbone, run.basis).catalog.train()
    chosen = _sample(len(view.pages), run.config.run.seed)
    project, moment_EE = run.heads.exact_pages, torch.zeros(run.heads.dim, run.heads.dim).double()
    count = 0
    for _, token_TE, lengths in embedded(store.pages, view.pages[chosen], project, "cpu"):
        for page_PE in token_TE.split(lengths):
            part_TE = page_PE[:: -(-len(page_PE) // _TOKENS_OF_A_PAGE) or 1].double()
            moment_EE += part_TE.T @ part_TE
            count += len(part_TE)
    return basis.principal_axes(moment_EE / count).float().contiguous()


def narrowed(heads: Heads, axes_EE: Tensor, dim: int) -> Heads:
    """Heads whose embeddings are turned to the first `dim` axes, and normalised.

    The turn is folded into their last layer: W becomes R[:N] W, computed in float64.

    Args:
        heads: are left as they are.
        axes_EE: of `principal_axes`.
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


def _sample(size: int, seed: int) -> np.ndarray:
    """Some of `size` rows, in order."""
    rows = random.Random(seed).sample(range(size), min(size, _MAX_PAGES))
    return np.array(sorted(rows), np.int64)
