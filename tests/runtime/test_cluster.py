"""Joining or starting a cluster: what a user may have got wrong is one line."""

import pytest

from colintern.config import parse_config
from colintern.runtime import cluster
from colintern.runtime.cluster import Cluster, ClusterError


@pytest.fixture
def unstarted(monkeypatch, tmp_path) -> Cluster:
    """A cluster whose Ray is not started, but has two CPUs; nothing is joined by the shell."""
    config = {
        "data": {"train": "demo"},
        "run": {"root": str(tmp_path / "runs")},
        "training": {"num_workers": 4},
        "cluster": {"use_gpu": True},
    }
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(cluster.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(cluster.ray, "init", lambda **_: None)
    monkeypatch.setattr(cluster.ray, "shutdown", lambda: None)
    monkeypatch.setattr(cluster.ray, "nodes", list)
    monkeypatch.setattr(cluster.ray, "cluster_resources", lambda: {"CPU": 4.0})
    return Cluster(parse_config(config, "test"))


def test_gpus_that_this_machine_does_not_have_are_one_line(unstarted):
    """A run that hangs for ever, waiting for a GPU that nobody will plug in."""
    with pytest.raises(ClusterError, match=r"num_workers=4 asks for 4 GPUs.*use_gpu=false"):
        unstarted.ensure()


def test_a_cluster_that_may_grow_is_waited_for(unstarted, monkeypatch):
    """A run on an autoscaling cluster refused because its nodes are not up yet; a silent wait."""
    said = []
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.setattr(cluster.log, "say", lambda part, text, *values: said.append(text % values))
    unstarted.ensure()
    assert said[-1] == (
        "training.num_workers=4 asks for 4 GPUs, the cluster has 0 now; waiting for the rest"
    )
