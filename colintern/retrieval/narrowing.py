"""Fewer numbers per embedding (`--dim`): turned to principal axes, cut, normalised again.

`principal_axes` gives the axes of a run, and `narrowed` the heads that end in the first of them.
Shapes: T tokens, P page tokens, E embedding width.
"""

import random

import numpy as np
import torch
from torch import Tensor

from colintern.model import basis
from colintern.model.narrowing import narrowed
from colintern.retrieval.finished import FinishedRun
from colintern.runs.opened import OpenedRun
from colintern.search.embedding import embedded

__all__ = ["narrowed", "principal_axes"]

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


def _sample(size: int, seed: int) -> np.ndarray:
    """Some of `size` rows, in order."""
    rows = random.Random(seed).sample(range(size), min(size, _MAX_PAGES))
    return np.array(sorted(rows), np.int64)
