"""What a retriever answers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Hit:
    """A page found for a query.

    Attributes:
        rank: from 1 on.
        score: MaxSim, the mean over the query's tokens; at most 1.
        page_id: the page's id in its dataset.
        doc_id: the document that the page is of, where that is known.
    """

    rank: int
    score: float
    page_id: str
    doc_id: str | None


@dataclass(frozen=True)
class Similarities:
    """How every token of a query fits every token of a page; Q query tokens, P page tokens.

    The mean over the query's tokens of each one's best page token is the page's score in a search.

    Attributes:
        scores: float32 [Q, P], dot products of L2-normalised embeddings.
        tokens: what each query token stands for: prefix, text, augmentation. A part of a character
            is shown as U+FFFD.
        boxes: float32 [P, 4]: left, top, right and bottom of the part of the page that a token
            covers, in pixels of the upright page; empty, at the page's edge, for one of nothing but
            padding (`backbone.pad_to_grid`), which counts in scores too.
        is_thumbnail: bool [P]: the token is of the small picture of the whole page. It counts in
            scores, but its box is too coarse for a heat map.
        parts: float32 [M, 4] for each page token: the boxes of all that it is the mean of. M is 1
            but with `features.max_tokens_per_page`; then the tokens of a cluster can lie anywhere,
            and `boxes` has the smallest box around them. Of a cluster with tokens of the thumbnail
            or of padding, and others, the others are given.
        words: of each word of the query, the positions of its tokens; None where the tokenizer does
            not tell.
    """

    scores: NDArray[np.float32]
    tokens: tuple[str, ...]
    boxes: NDArray[np.float32]
    is_thumbnail: NDArray[np.bool_]
    parts: tuple[NDArray[np.float32], ...]
    words: tuple[tuple[int, ...], ...] | None = None
