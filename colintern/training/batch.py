"""One worker's share of a global batch, as tensors."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from colintern.features.store import Items
from colintern.training.examples import Example, GlobalBatch, TrainingSet
from colintern.training.place import Place


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


def share_of(size: int, place: Place) -> range:
    """The rows of a global batch of `size` that this worker takes; shares differ by one at most."""
    return range(place.rank * size // place.world_size, (place.rank + 1) * size // place.world_size)


def build_batch(training_set: TrainingSet, batch: GlobalBatch, place: Place) -> Batch:
    """Read the features of this worker's share."""
    rows = share_of(len(batch.examples), place)
    mine = batch.examples[rows.start : rows.stop]
    store = training_set.store
    query_TH, query_lengths = _features(store.queries, [example.query_id for example in mine])
    negatives = [page_id for example in mine for page_id in example.negatives]
    page_TH, lengths = _features(store.pages, [*(example.page_id for example in mine), *negatives])
    pages = store.pages
    return Batch(
        step=batch.step,
        epoch=batch.epoch,
        query_TH=query_TH.to(place.device, torch.float32),
        query_lengths=query_lengths,
        page_TH=page_TH.to(place.device, torch.float32),
        page_lengths=lengths[: len(mine)],
        negative_lengths=[[pages.row_of(i).num_tokens for i in row.negatives] for row in mine],
        global_page_lengths=[pages.row_of(row.page_id).num_tokens for row in batch.examples],
        positive_B=torch.arange(rows.start, rows.stop, device=place.device),
        mask_BD=_allowed(training_set, mine, batch.examples).to(place.device),
    )


def _features(items: Items, item_ids: Sequence[str]) -> tuple[Tensor, list[int]]:
    return items.read(items.find(item_ids))


def _allowed(
    training_set: TrainingSet, rows: Sequence[Example], columns: Sequence[Example]
) -> Tensor:
    """mask_BD: false where the page answers the query, or is the same page as one that does."""
    pages = training_set.store.pages
    columns_of: dict[int, list[int]] = {}
    for column, example in enumerate(columns):
        columns_of.setdefault(pages.picture_of(example.page_id), []).append(column)
    allowed = torch.ones(len(rows), len(columns), dtype=torch.bool)
    for place, example in enumerate(rows):
        positives = training_set.view.positives[example.query_id]
        answers = {pages.picture_of(page_id) for page_id in positives if page_id in pages}
        same = [column for picture in answers for column in columns_of.get(picture, ())]
        allowed[place, same] = False
    return allowed
