"""The order of results, as one 64-bit integer for a score and a page.

Results are ordered by score descending, then page id ascending. A page's ordinal is its index in
the sorted ids of the whole corpus, so the order of the pair (score, ordinal) is the order of
results. Packed into one integer, no two pages are ever equal: any top-k selects the same pages in
the same order, and lists from shards merge by the same selection, whatever the number of shards.
"""

import torch
from torch import Tensor

NO_PAGE = torch.iinfo(torch.int64).min  # below the key of every page
_ORDINAL_BITS = 32
_ORDINAL_MASK = (1 << _ORDINAL_BITS) - 1
_SIGN_FLIP = 0x7FFFFFFF


def to_keys(score_BD: Tensor, ordinal_D: Tensor) -> Tensor:
    """Pack scores and the ordinals of their pages.

    Args:
        score_BD: float32, finite.
        ordinal_D: int64 in [0, 2**32), or [B, D].

    Returns:
        key_BD, int64: the greater, the better.
    """
    bits = (score_BD + 0.0).contiguous().view(torch.int32).to(torch.int64)  # + 0.0: -0.0 is 0.0
    ordered = torch.where(bits >= 0, bits, bits ^ _SIGN_FLIP)
    return (ordered << _ORDINAL_BITS) | (_ORDINAL_MASK - ordinal_D)


def to_scores(key: Tensor) -> Tensor:
    """The float32 scores in `key`; -inf where it is `NO_PAGE`."""
    ordered = key >> _ORDINAL_BITS
    bits = torch.where(ordered >= 0, ordered, ordered ^ _SIGN_FLIP).to(torch.int32)
    return bits.view(torch.float32).masked_fill(key == NO_PAGE, float("-inf"))


def to_ordinals(key: Tensor) -> Tensor:
    """The page ordinals in `key`, int64; -1 where it is `NO_PAGE`."""
    return (_ORDINAL_MASK - (key & _ORDINAL_MASK)).masked_fill(key == NO_PAGE, -1)


def best(key_BD: Tensor, depth: int) -> Tensor:
    """The `depth` greatest keys of every row, best first, filled up with `NO_PAGE`."""
    found = key_BD.topk(min(depth, key_BD.shape[1]), dim=1).values
    missing = depth - found.shape[1]
    return torch.nn.functional.pad(found, (0, missing), value=NO_PAGE)


def merge(parts: list[Tensor], depth: int) -> Tensor:
    """The best of several lists of keys, each [B, any]."""
    return best(torch.cat(parts, dim=1), depth)
