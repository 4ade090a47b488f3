"""What people's judgements change of a dev set that is taken out of the training queries.

The groups stay dealt as they are by the dataset's own judgements: else twenty answers would make
another dev set, with which no earlier round could be compared. Queries stay on their side, and what
is now relevant to a dev query is kept out of training.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from colintern.data.canonical import CanonicalDataset
from colintern.data.columns import find
from colintern.data.judgements import Judgements
from colintern.data.views import Known, Positions


@dataclass(frozen=True)
class Split:
    """A training set and a dev set of one dataset.

    Attributes:
        is_held_out: of each page, whether it is neither trained on nor mined.
        train: what is judged for the training queries.
        dev: what is judged for the dev queries.
    """

    is_held_out: NDArray[np.bool_]
    train: Judgements
    dev: Judgements


def with_added(
    split: Split,
    dataset: CanonicalDataset,
    pages: Known,
    pictures: NDArray[np.int32],
    text_numbers: Positions,
) -> Split:
    """A split with the judgements that people have added.

    A page that is relevant to a dev query is held out, with those that show the same; but not the
    other pages of its document, on which the training queries may depend. A query that was not
    judged before is where an equal one is, or else in dev if a page of dev answers it. A training
    query that is left without a page to train on is gone.

    Args:
        split: by the dataset's own judgements.
        dataset: of which all judgements are taken.
        pages: those that have features.
        pictures: of each page a number for what it shows.
        text_numbers: of each of `dataset.asked`, the number of its text; equal ones have the same.
    """
    judgements = dataset.judgements()
    pages_of = pages.find(judgements.page_ids)[judgements.pages]
    is_there = pages_of >= 0
    of_dev_page = np.append(split.is_held_out, False)[pages_of]  # the last is that of -1
    asks_dev_page = np.bincount(judgements.queries[of_dev_page], minlength=len(judgements)) > 0
    texts = np.append(text_numbers, -1)[find(judgements.query_ids, dataset.asked.ids)]
    in_train, in_dev = (
        find(judgements.query_ids, side.query_ids) >= 0 for side in (split.train, split.dev)
    )
    is_new = ~(in_train | in_dev)
    # Equal texts go together, whichever of them has the page of dev.
    dev_texts = np.setdiff1d(texts[in_dev | (is_new & asks_dev_page)], [-1, *texts[in_train]])
    is_new_dev = is_new & np.where(texts < 0, asks_dev_page, np.isin(texts, dev_texts))
    in_dev, in_train = in_dev | is_new_dev, in_train | (is_new & ~is_new_dev)
    answers = pictures[np.unique(pages_of[is_there & in_dev[judgements.queries]])]
    is_held_out = split.is_held_out | np.isin(pictures, answers)
    is_trained_on = np.append(~is_held_out, False)[pages_of] & in_train[judgements.queries]
    return Split(
        is_held_out,
        judgements.of_queries(np.unique(judgements.queries[is_trained_on])),
        judgements.of_queries(np.flatnonzero(in_dev)),
    )
