"""The kinds of vectors that are compared: how many numbers, how many vectors, which type."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from colintern.retrieval.vector_types import Dtype, VectorType

_PARTS = (1, 2, 4)  # of the width of the heads, and of the tokens of pages: all, a half, a quarter
_GIB = 2**30
_MILLION = 1_000_000


@dataclass(frozen=True)
class Rung:
    """One kind of vectors, as `colintern embed` would write it.

    Attributes:
        width: of the heads.
        dim: numbers of a vector. All of them are kept as they are; fewer are turned and cut.
        share: of the tokens of all pages that may be left: `all`, `1/2` or `1/4`.
        tokens: the most vectors of a page, so that no more than this share is left; None keeps all.
        dtype: how numbers are written.
        mean_tokens: vectors of a page, the mean over the pages.
    """

    width: int
    dim: int
    share: str
    tokens: int | None
    dtype: Dtype
    mean_tokens: float

    @property
    def is_full(self) -> bool:
        """Whether nothing is left out: what the others are compared with."""
        return self.dim == self.width and self.tokens is None and self.dtype == "float32"

    @cached_property
    def type(self) -> VectorType:
        """Of the vectors."""
        return VectorType(self.dtype, self.dim)

    @property
    def page_bytes(self) -> float:
        """The numbers of a page's vectors, the mean over the pages; no ids, not compressed."""
        return self.mean_tokens * self.type.num_bytes

    @property
    def gib_per_million_pages(self) -> float:
        """The same of a million such pages, in units of 2**30 bytes."""
        return self.page_bytes * _MILLION / _GIB

    @property
    def options(self) -> str:
        """The options of `colintern embed` that write such vectors."""
        dim = [] if self.dim == self.width else [f"--dim {self.dim}"]
        tokens = [] if self.tokens is None else [f"--tokens {self.tokens}"]
        return " ".join([*dim, *tokens, f"--dtype {self.dtype}"])


def all_rungs(width: int, num_tokens: NDArray[np.integer]) -> list[Rung]:
    """Every number of dimensions with every share of tokens and every type, the full one first.

    Args:
        width: of the heads.
        num_tokens: of each page, one page at least.
    """
    found = []
    for dim, part, dtype in product(_parts_of(width), _PARTS, get_args(Dtype)):
        limit = None if part == 1 else token_limit(num_tokens, part)
        share = "all" if part == 1 else f"1/{part}"
        kept = num_tokens if limit is None else np.minimum(num_tokens, limit)
        found.append(Rung(width, dim, share, limit, dtype, float(kept.mean())))
    return found


def token_limit(num_tokens: NDArray[np.integer], part: int) -> int:
    """The greatest `--tokens` that leaves no more than one of `part` tokens, but one of each page.

    Pages with few tokens keep all of them, so that long pages have to give more.

    Args:
        num_tokens: of each page.
        part: how many times as many tokens all pages have.
    """
    limits = range(1, int(num_tokens.max()) + 1)
    wanted = int(num_tokens.sum(dtype=np.int64)) // part

    def left(limit: int) -> int:
        return int(np.minimum(num_tokens, limit).sum(dtype=np.int64))

    return max(1, bisect_right(limits, wanted, key=left))


def frontier(sizes: Sequence[float], values: Sequence[float]) -> list[bool]:
    """Of each kind whether none that is as small is better, and none that is as good smaller.

    Args:
        sizes: the less, the better.
        values: the more, the better.
    """
    points = list(zip(sizes, values, strict=True))
    return [
        not any(
            other_size <= size and other >= value and (other_size, other) != (size, value)
            for other_size, other in points
        )
        for size, value in points
    ]


def _parts_of(width: int) -> list[int]:
    """Distinct numbers of dimensions; heads of a width below 4 have fewer."""
    return sorted({max(1, width // part) for part in _PARTS}, reverse=True)
