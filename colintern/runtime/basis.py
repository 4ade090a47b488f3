"""Fitting a basis in one Ray task."""

from typing import Any

import ray

from colintern.config.schema import Config
from colintern.features.basis_sample import BasisTask, make_basis
from colintern.model.backbone import FrozenBackbone
from colintern.runtime.cluster import device_of


def fit_basis(task: BasisTask, config: Config) -> None:
    """Encode the sample where a GPU is, if there is to be one, and write the basis."""
    cluster = config.cluster
    num_gpus = 1 if cluster.use_gpu else 0
    remote: Any = ray.remote(num_cpus=cluster.cpus_per_worker, num_gpus=num_gpus)(_fit)
    ray.get(remote.remote(task, config))


def _fit(task: BasisTask, config: Config) -> None:
    make_basis(task, FrozenBackbone(config.backbone, device_of(config.cluster.use_gpu)))
