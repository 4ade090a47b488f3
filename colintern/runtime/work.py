"""What passes between a stage and whoever does its work: the work, and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from colintern.data.views import View
    from colintern.features.catalog import Catalog
    from colintern.features.store import FeatureStore
    from colintern.scoring.queries import EmbeddedQueries
    from colintern.search.shards import Shards

Progress = Mapping[str, Any]
Tell = Callable[[Progress], None]


class OpenCorpus(Protocol):
    """Gives a corpus to search: pages embedded by some heads, in shards, and its queries."""

    def __call__(
        self, view: View, store: FeatureStore, heads_folder: str
    ) -> tuple[Shards, EmbeddedQueries]:
        """The pages of `view`, and its queries in their order, by the heads in a folder."""
        ...


# Given a catalog of datasets, a way to open a corpus of it, and whom to tell how far the work is.
SearchWork = Callable[["Catalog", OpenCorpus, Tell], dict[str, Any]]
