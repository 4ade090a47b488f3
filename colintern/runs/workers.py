"""What stages ask for beyond the driver: the seam that Ray stands behind, or nothing but a process.

`runtime.workers` has them on Ray; `runs.local` has them in this process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from colintern.config.schema import Config
from colintern.records import Record
from colintern.records.lease import Held
from colintern.records.machine import Machine
from colintern.runtime.resources import Request
from colintern.runtime.work import SearchWork, Tell

if TYPE_CHECKING:
    from colintern.features.basis_sample import BasisTask
    from colintern.features.catalog import Catalog
    from colintern.features.plan import StoreTarget
    from colintern.model.backbone import BackboneIdentity
    from colintern.runtime.parts import PartsJob
    from colintern.training.loop import RoundTask


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

    def fit_basis(self, task: BasisTask, config: Config, held: Held) -> None:
        """Encode a sample of a dataset and write a basis that is fitted to it.

        Args:
            task: of which dataset, and where to.
            config: the backbone, and what a worker needs.
            held: the lease of the basis's folder.
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

    def machine(self, config: Config) -> Machine:
        """What they work on.

        Args:
            config: whether GPUs are used.
        """
        ...

    def make_parts(self, job: PartsJob, config: Config, held: Held) -> None:
        """Make files that do not depend on each other, as far as they are not there yet.

        Args:
            job: the files, and how they are made.
            config: how many workers there may be, and what each of them needs.
            held: the lease of the folder that is written to.
        """
        ...
