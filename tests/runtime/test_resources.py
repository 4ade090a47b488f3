"""What the stages ask of a cluster, against what it has."""

import pytest

from colintern.config.files import parse_config
from colintern.runs.runner import requests
from colintern.runs.stages import Encode, Train
from colintern.runtime.resources import cpus_wanted, shortage


def _config(num_workers: int = 1, **cluster):
    document = {
        "data": {"train": "demo"},
        "training": {"num_workers": num_workers},
        "cluster": cluster,
    }
    return parse_config(document, "test")


@pytest.mark.parametrize(
    ("config", "resources"),
    [
        (_config(), {"CPU": 1.0}),
        (_config(num_workers=0), {"CPU": 1.0}),
        (_config(mining_workers=4, cpus_per_worker=2), {"CPU": 8.0}),
        (_config(num_workers=4, use_gpu=True), {"CPU": 16.0, "GPU": 4.0}),
        (_config(encode_workers=[1, 8], use_gpu=True), {"CPU": 2.0, "GPU": 1.0}),
    ],
)
def test_enough_is_enough(config, resources):
    """A cluster that is refused although every stage fits into it."""
    assert requests(config)
    assert shortage(requests(config), resources) is None


@pytest.mark.parametrize(
    ("config", "resources", "line"),
    [
        (
            _config(use_gpu=True),
            {"CPU": 2.0},
            "cluster.encode_workers=1 asks for 1 GPU, the cluster has 0",
        ),
        (
            _config(num_workers=4, use_gpu=True),
            {"CPU": 16.0, "GPU": 1.0},
            "training.num_workers=4 asks for 4 GPUs, the cluster has 1",
        ),
        (
            _config(mining_workers=3, cpus_per_worker=4),
            {"CPU": 8.0},
            "cluster.mining_workers=3 asks for 12 CPUs, the cluster has 8",
        ),
        (
            _config(encode_workers=[2, 8], use_gpu=True),
            {"CPU": 16.0, "GPU": 1.0},
            "cluster.encode_workers=[2, 8] asks for 2 GPUs, the cluster has 1",
        ),
    ],
)
def test_the_setting_that_asks_for_too_much_is_named(config, resources, line):
    """Workers that are waited for without a word, for ever."""
    assert shortage(requests(config), resources) == line


def test_a_local_cluster_is_made_for_the_largest_stage():
    """A stage left out of the sum, so that a local cluster cannot hold its workers."""
    config = _config(num_workers=2, encode_workers=3, mining_workers=5, cpus_per_worker=2)
    assert cpus_wanted(requests(config)) == 10


def test_a_local_cluster_has_cpus_that_feed_the_models():
    """Two workers on two CPUs: pages that nobody ever prepares, for want of a CPU."""
    assert cpus_wanted(requests(_config(encode_workers=2))) == 4
    assert cpus_wanted(requests(_config(encode_workers=3, cpus_per_worker=2))) == 9


def test_a_local_cluster_is_not_made_for_workers_that_may_come():
    """`encode_workers: [1, 8]` on a laptop: eight backbones in its memory, on two cores."""
    assert cpus_wanted(requests(_config(encode_workers=[1, 8]))) == 2


def test_only_the_stages_that_run_have_to_fit():
    """Encoding refused on a machine with one GPU because training would take four."""
    config, resources = _config(num_workers=4, use_gpu=True), {"CPU": 4.0, "GPU": 1.0}
    assert shortage(requests(config, [Encode]), resources) is None
    assert shortage(requests(config, [Encode, Train]), resources)


def test_a_round_trained_in_the_driver_asks_for_nothing():
    """`training.num_workers: 0` held to need a CPU of the cluster's."""
    assert requests(_config(num_workers=0), [Train]) == []
