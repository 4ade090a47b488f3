"""Where the stored tokens of a page lie on it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from colintern.errors import UserError
from colintern.features.codec import Codec, StoredTokens
from colintern.features.store import PageLayout
from colintern.model.boxes import is_on_page, token_boxes, union

# Between a token that is stored and the same one computed again. Other devices round differently,
# which changes the third decimal; another cluster is another direction.
_SAME_TOKEN = 0.99

Boxes = NDArray[np.float32]


def token_places(
    layout: PageLayout,
    codec: Codec,
    padded_tile: tuple[int, int] | None,
    stored: StoredTokens,
    compute: Callable[[], Tensor],
) -> tuple[Boxes, NDArray[np.bool_], tuple[Boxes, ...]]:
    """The boxes of a page's stored tokens.

    Which tokens a cluster (`features.max_tokens_per_page`) is the mean of is not stored. So the
    page's features are computed again, and clustered again: the result must be what is stored.

    Args:
        layout: of the page.
        codec: of its store.
        padded_tile: see `token_boxes`.
        stored: its tokens.
        compute: gives the backbone's features of the page; called only for clustered tokens.

    Returns:
        boxes, is_thumbnail and parts of `Similarities`.

    Raises:
        UserError: this machine's features make other clusters than those that are stored.
    """
    tiling = layout.size, layout.tiles, codec.tile_tokens, codec.reduction.merge, padded_tile
    box_P4, is_thumbnail_P = token_boxes(*tiling)
    if len(stored) == len(box_P4):
        return box_P4, is_thumbnail_P, tuple(box_P4[:, None])
    features = compute()
    _check_same(stored, codec.encode_page(features))
    cluster_P = codec.reduction.clusters(features, codec.tile_tokens)
    members = [np.flatnonzero(cluster_P == number) for number in range(len(stored))]
    is_fine_P = ~is_thumbnail_P & is_on_page(box_P4)
    shown = [_shown(own, is_fine_P) for own in members]
    parts = tuple(box_P4[own] for own in shown)
    is_thumbnail = np.array([bool(is_thumbnail_P[own].any()) for own in shown])
    return np.stack([union(part) for part in parts]), is_thumbnail, parts


def _shown(members: NDArray[np.int64], is_fine_P: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Those of the page in its tiles; those of the thumbnail and padding only without any."""
    fine = members[is_fine_P[members]]
    return fine if len(fine) else members


def _check_same(stored: StoredTokens, again: StoredTokens) -> None:
    is_same = len(stored) == len(again) and bool(
        (functional.cosine_similarity(stored.decoded(), again.decoded()) > _SAME_TOKEN).all()
    )
    if not is_same:
        raise UserError(
            "the places of clustered tokens (features.max_tokens_per_page) are known only where "
            "the backbone computes as it did for the store; open the run on the kind of device "
            "that has encoded it"
        )
