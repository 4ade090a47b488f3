"""The work of stages on Ray; `runs.workers` says what stages may ask for."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from colintern.config.schema import Config
from colintern.features.basis_sample import BasisTask
from colintern.features.catalog import Catalog
from colintern.features.making import make_stores
from colintern.features.plan import StoreTarget
from colintern.model.backbone import BackboneIdentity
from colintern.records import Record
from colintern.records.lease import Held
from colintern.records.machine import Machine
from colintern.runtime.basis import fit_basis
from colintern.runtime.cluster import Cluster, cluster_of
from colintern.runtime.encode import RayCrew
from colintern.runtime.machine import machine_of_driver
from colintern.runtime.part_pool import RayPartsCrew
from colintern.runtime.parts import PartsJob, make_parts
from colintern.runtime.relay import Relay
from colintern.runtime.resources import Request
from colintern.runtime.search_pool import SearchPool
from colintern.runtime.train import train
from colintern.runtime.work import SearchWork, Tell
from colintern.training.loop import RoundTask


class RayWorkers:
    """Workers of a Ray cluster, which is joined or started when the first work needs it.

    The actors that search stay between mining and evaluation, and give their resources back before
    other workers start.

    Args:
        cluster: where they are.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._pool: SearchPool | None = None
        self._relay: Relay | None = None

    def encode(
        self, targets: Sequence[StoreTarget], backbone: BackboneIdentity, config: Config
    ) -> dict[str, Record]:
        """Bring stores up to date with one pool of actors."""
        self.close()
        self._cluster.ensure()
        return make_stores(targets, backbone, config, RayCrew(config))

    def fit_basis(self, task: BasisTask, config: Config, held: Held) -> None:
        """Fit it in one task, which has what an actor that encodes has."""
        self.close()
        self._cluster.ensure()
        fit_basis(task, config, held)

    def train(self, task: RoundTask, request: Request, held: Held, show: Tell) -> None:
        """Train a round with a group of workers."""
        self.close()
        self._cluster.ensure()
        train(task, request, held, show)

    def search(
        self,
        work: SearchWork,
        catalog: Catalog,
        request: Request,
        held: Held,
        show: Tell,
    ) -> dict[str, Any]:
        """Do `work` in the actor that searches."""
        self._cluster.ensure()
        pool = self._pool_of(request, held)
        self._relay = self._relay or Relay()
        with self._relay.showing(show) as tell:
            return pool.do(work, catalog, tell)

    def machine(self, config: Config) -> Machine:
        """The nodes of the cluster, once it is joined; until then the driver's machine."""
        return machine_of_driver(use_gpu=config.cluster.use_gpu)

    def make_parts(self, job: PartsJob, config: Config, held: Held) -> None:
        """Make the parts of a job with one pool of actors."""
        self.close()
        make_parts(job, RayPartsCrew(self._cluster, config), held)

    def _pool_of(self, request: Request, held: Held) -> SearchPool:
        """The pool of the search before, if it is what this one asks for too."""
        if self._pool is None or self._pool.request != request:
            self._close_pool()
            self._pool = SearchPool(request, held)
        return self._pool

    def close(self) -> None:
        """End the actors that search."""
        self._close_pool()
        if self._relay is not None:
            self._relay.close()
        self._relay = None

    def _close_pool(self) -> None:
        if self._pool is not None:
            self._pool.close()
        self._pool = None


@contextlib.contextmanager
def ray_workers(config: Config, requests: Sequence[Request]) -> Iterator[RayWorkers]:
    """Workers for the length of a `with` block.

    Args:
        config: where the run and its stores are.
        requests: of the stages that may run, for which the cluster has to be large enough.
    """
    with (
        cluster_of(config, requests) as cluster,
        contextlib.closing(RayWorkers(cluster)) as workers,
    ):
        yield workers
