"""The actor that outlives the workers, when it or a machine does not live."""

import pytest
import ray

from colintern import log
from colintern.features.attempts import Process
from colintern.features.progress import EncodingProgress
from colintern.runtime.tracker import tracking


@pytest.mark.ray
def test_the_work_goes_on_when_the_tracker_dies(ray_cluster):
    """A run of days that ends because the process that counts its progress was killed."""
    with tracking(EncodingProgress(log.Progress("encode", "", "items", 1), 1), 1) as tracker:
        tracker.begin("shard")
        ray.kill(tracker._actor, no_restart=False)
        tracker.count("shard", 1)
        with tracker.alone("shard", "item"):
            pass
        tracker.checked("shard")
        tracker.end("shard")
        assert tracker.begin("shard").num_deaths == 0


@pytest.mark.ray
def test_who_was_on_a_machine_that_is_gone_has_not_died_of_its_work(ray_cluster):
    """A page, or a backbone, blamed for spot machines that were taken away."""
    with tracking(EncodingProgress(log.Progress("encode", "", "items", 1), 1), 1) as tracker:
        gone = Process("worker", "a node that is gone")
        for _ in range(4):
            ray.get(tracker._actor.begin.remote("shard", "actor", gone))
            assert ray.get(tracker._actor.starting.remote("actor", "process", gone.node)) == []
        assert tracker.begin("shard").num_deaths == 0
        assert tracker.begin("shard").num_deaths == 1  # of this process, whose machine is here
        assert tracker.starting("actor", "process") == []
        assert tracker.starting("actor", "process") == ["process"]
