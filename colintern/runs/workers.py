"""What stages ask for beyond the driver: the seam that Ray stands behind, or nothing but a process.

`runtime.workers` has them on Ray; `runs.local` has them in this process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from colintern.config.schema import Config
from colintern.records import Record
from colintern.records.lease import Held
from colintern.runtime.resources import Request

if TYPE_CHECKING:
    from colintern.data.views import View
    from colintern.features.catalog import Catalog
    from colintern.features.plan import StoreTarget
    from colintern.features.store import FeatureStore
    from colintern.model.backbone import BackboneIdentity
    from colintern.scoring.queries import EmbeddedQueries
    from colintern.search.shards import Shards
    from colintern.training.loop import RoundTask

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


class Workers(Protocol):
    """Those who do the work of stages."""

    def encode(
        self, targets: Sequence[StoreTarget], backbone: BackboneIdentity, config: Config
    ) -> dict[str, Record]:
        """Bring stores up to date.

        Returns:
            The path of each store to its record.
        """
        ...

    def train(self, task: RoundTask, request: Request, held: Held, show: Tell) -> None:
        """Train a round; its heads and log are on storage when this returns.

        Args:
            task: the round.
            request: how many workers, and what each of them needs.
            held: the lease of the run.
            show: told about the progress.
        """
        ...

    def search(
        self, work: SearchWork, catalog: Catalog, request: Request, held: Held, show: Tell
    ) -> dict[str, Any]:
        """Do `work` where corpora can be searched, which is not the driver.

        Args:
            work: a function that can be sent there. It may be called again when machines are lost,
                and has to give the same then.
            catalog: the datasets that it works on; what is read of them may stay for the next work.
            request: how many shards, and what each of them needs.
            held: the lease of the run.
            show: told about the progress.

        Returns:
            What `work` returns.
        """
        ...
