"""One worker's share of a global batch, as tensors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from colintern.data.views import Positives
from colintern.training.examples import Example, GlobalBatch, TrainingSet
from colintern.training.worker import Worker


@dataclass(frozen=True)
class Batch:
    """The rows of one worker, ragged features one after the other.

    With fewer pairs than workers some have no rows: their tensors are of size 0, and they take part
    in all that the workers do together.

    Shapes: B the worker's rows, D the pages of the global batch, T tokens, H backbone width.

    Attributes:
        query_TH: query features; `query_lengths` has B entries.
        page_TH: features of the rows' positive pages, then of all their negatives.
        page_lengths: tokens of the B positive pages.
        negative_lengths: for every row, the tokens of each of its negatives.
        global_page_lengths: tokens of all D positive pages, which every worker knows.
        positive_B: the column of each row's positive page among the D.
        mask_BD: whether page d may be a negative of row b.
    """

    step: int
    epoch: int
    query_TH: Tensor
    query_lengths: list[int]
    page_TH: Tensor
    page_lengths: list[int]
    negative_lengths: list[list[int]]
    global_page_lengths: list[int]
    positive_B: Tensor
    mask_BD: Tensor


def share_of(size: int, worker: Worker) -> range:
    """The rows of a global batch of `size` that this worker takes; shares differ by one at most."""
    return range(
        worker.rank * size // worker.world_size, (worker.rank + 1) * size // worker.world_size
    )


def build_batch(training_set: TrainingSet, batch: GlobalBatch, worker: Worker) -> Batch:
    """Read the features of this worker's share."""
    rows = share_of(len(batch.examples), worker)
    mine = batch.examples[rows.start : rows.stop]
    view, pages = training_set.view, training_set.store.pages
    queries = view.queries[[example.query for example in mine]]
    query_tokens, query_lengths = training_set.store.queries.read(queries)
    negatives = [page for example in mine for page in example.negatives]
    page_tokens, lengths = pages.read([*(example.page for example in mine), *negatives])
    return Batch(
        step=batch.step,
        epoch=batch.epoch,
        query_TH=query_tokens.decoded(worker.device),
        query_lengths=query_lengths,
        page_TH=page_tokens.decoded(worker.device),
        page_lengths=lengths[: len(mine)],
        negative_lengths=[pages.num_tokens[list(row.negatives)].tolist() for row in mine],
        global_page_lengths=pages.num_tokens[[row.page for row in batch.examples]].tolist(),
        positive_B=torch.arange(rows.start, rows.stop, device=worker.device),
        mask_BD=_allowed(view.positives, pages.pictures, mine, batch.examples).to(worker.device),
    )


def _allowed(
    positives: Positives,
    pictures: NDArray[np.int32],
    rows: Sequence[Example],
    columns: Sequence[Example],
) -> Tensor:
    """mask_BD: false where the page answers the query, or is the same page as one that does.

    Args:
        positives: the pages that answer each query.
        pictures: what each page of the store shows.
        rows: the worker's examples.
        columns: those of the global batch.
    """
    picture_D = pictures[[column.page for column in columns]]
    mask = [~np.isin(picture_D, pictures[positives[row.query]]) for row in rows]
    return torch.from_numpy(np.array(mask, dtype=bool).reshape(len(rows), len(columns)))
