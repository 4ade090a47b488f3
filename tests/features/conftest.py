"""The backbone that the tests of the feature store encode with."""

import pytest

from colintern.config.schema import BackboneConfig
from colintern.model.backbone import FrozenBackbone


@pytest.fixture(scope="package")
def backbone() -> FrozenBackbone:
    """The tiny one with random weights."""
    return FrozenBackbone(BackboneConfig(path="random"))
