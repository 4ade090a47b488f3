"""How a number was measured: what somebody has to do alike to get it again.

Every metrics file carries it as `protocol`. Two results can be compared when their protocols agree
but for `versions` and devices; those explain differences in the last digits. Results of versions
before have none, and stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from colintern.features.provenance import read_provenance

if TYPE_CHECKING:
    from colintern.config.schema import Config

GAIN = "linear"  # of nDCG: a page judged 2 counts twice, as in trec_eval; not 2 ** 2 - 1
TIES = "page id ascending by code point"
# One rule in all: what is judged counts, and nothing else is inferred. Copies of a page stand in
# the ranking each at its own place, and only those that are judged relevant are relevant.
DUPLICATE_PAGES = "all ranked, each by its own judgements"
DUPLICATE_QUERIES = "all asked, each by its own judgements"
NOT_ASKED = "blank, overlong and unencoded queries count as 0"
SCORE = "MaxSim, mean over query tokens, summed in float64"


@dataclass(frozen=True)
class Tokens:
    """How many tokens the searched pages have.

    Attributes:
        mean: per item.
        max: of the largest.
    """

    mean: float
    max: int

    @classmethod
    def of(cls, num_tokens: NDArray[np.int32]) -> Tokens:
        """Those of items with so many tokens each; zeros where there is none."""
        if not len(num_tokens):
            return cls(0.0, 0)
        return cls(round(float(num_tokens.mean()), 3), int(num_tokens.max()))


@dataclass(frozen=True)
class Protocol:
    """See the module. What is compared by another score than MaxSim says so in `score`.

    Attributes:
        search: `exact`, or how candidates were found.
        candidates: pages per query that were scored exactly; None for all of them.
        device: where scores were computed, `cpu` or `cuda`.
        versions: of what measured.
        encoding: how pages and queries were encoded (`encoding_of`, or that of another model).
        page_tokens: of the searched pages; None where pages have no tokens.
    """

    search: str
    candidates: int | None
    device: str
    versions: Mapping[str, str]
    encoding: Mapping[str, Any] = field(default_factory=dict)
    page_tokens: Tokens | None = None
    score: str = SCORE
    gain: str = GAIN
    ties: str = TIES
    duplicate_pages: str = DUPLICATE_PAGES
    duplicate_queries: str = DUPLICATE_QUERIES
    not_asked: str = NOT_ASKED

    def document(self) -> dict[str, Any]:
        """As it stands in a metrics file."""
        return asdict(self)


def encoding_of(config: Config, store: str) -> dict[str, Any]:
    """How the features of a run were computed and are stored.

    Args:
        config: of the run.
        store: the folder of a store; what it does not tell is `unknown`.
    """
    from colintern.model.processor import IMAGE_PROCESSOR

    backbone, features = config.backbone, config.features
    return {
        **read_provenance(store),
        "attention": backbone.attention,
        "image_processor": IMAGE_PROCESSOR,
        "image_backend": "pil",
        "max_tiles": backbone.max_tiles,
        "pad_to_grid": backbone.pad_to_grid,
        "stored_dtype": features.dtype,
        "pca_dim": features.pca_dim,
        "merge": features.merge,
        "max_tokens_per_page": features.max_tokens_per_page,
    }
