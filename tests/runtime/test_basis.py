"""A basis that is fitted by a Ray task."""

import pytest

from colintern.features.basis_sample import BasisTask, make_basis
from colintern.model.backbone import FrozenBackbone
from colintern.records import lease
from colintern.runtime.basis import fit_basis
from colintern.runtime.errors import ClusterError
from tests.local_run import make_config

pytestmark = [pytest.mark.ray, pytest.mark.slow]  # Ray imports torch in another process


def test_a_task_fits_what_the_driver_would(tmp_path, ray_cluster):
    """A basis that depends on where it is made; one that is written where nobody reads it."""
    config = make_config(tmp_path)
    here, there = (
        BasisTask(config.data.train.path, 5, str(tmp_path / name)) for name in ("here", "there")
    )
    make_basis(here, FrozenBackbone(config.backbone))
    with lease.held(str(tmp_path / "basis"), wait=True) as held:
        fit_basis(there, config, held)
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()
    with pytest.raises(ClusterError, match="use shared storage"):
        fit_basis(there, config, held)  # whose lease is not seen any more
