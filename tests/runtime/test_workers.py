"""Which workers live when: those that search make room for those that train."""

from contextlib import contextmanager

import pytest

from colintern.runtime import workers
from colintern.runtime.resources import Request
from colintern.runtime.workers import RayWorkers

REQUEST = Request("cluster.mining_workers", 1)


@pytest.fixture
def events(monkeypatch) -> list[str]:
    """What happens to a cluster that is not there, in order."""
    happened: list[str] = []

    class Pool:
        def __init__(self, request: Request, _held) -> None:
            self.request = request
            happened.append("search actors start")

        def do(self, work, catalog, tell) -> dict:
            tell({"done": 1})
            return work(catalog, None, tell)

        def close(self) -> None:
            happened.append("search actors end")

    class Relay:
        @contextmanager
        def showing(self, show):
            yield show

        def close(self) -> None:
            happened.append("relay ends")

    monkeypatch.setattr(workers, "SearchPool", Pool)
    monkeypatch.setattr(workers, "Relay", Relay)
    monkeypatch.setattr(workers, "train", lambda *_: happened.append("training"))
    monkeypatch.setattr(workers, "RayCrew", lambda _: None)
    monkeypatch.setattr(workers, "make_stores", lambda *_: happened.append("encoding"))
    return happened


class _Cluster:
    def __init__(self, events: list[str]) -> None:
        self.ensure = lambda: events.append("cluster")


def _search(on_ray: RayWorkers, told: list, request: Request = REQUEST) -> dict:
    def work(catalog, open_corpus, tell) -> dict:
        return {"catalog": catalog}

    return on_ray.search(work, "catalog", request, None, told.append)  # pyright: ignore


def test_actors_that_search_stay_until_others_need_their_place(events):
    """Actors started for every evaluation; or that keep the CPUs which training waits for."""
    on_ray, told = RayWorkers(_Cluster(events)), []  # pyright: ignore[reportArgumentType]
    for _ in range(2):
        assert _search(on_ray, told) == {"catalog": "catalog"}
    assert told == [{"done": 1}] * 2
    assert events == ["cluster", "search actors start", "cluster"]
    events.clear()
    on_ray.train(None, REQUEST, None, told.append)  # pyright: ignore[reportArgumentType]
    assert events == ["search actors end", "relay ends", "cluster", "training"]
    events.clear()
    _search(on_ray, told)
    on_ray.encode([], None, None)  # pyright: ignore[reportArgumentType]
    on_ray.close()
    assert events == [
        "cluster",
        "search actors start",
        "search actors end",
        "relay ends",
        "cluster",
        "encoding",
    ]


def test_a_stage_that_asks_for_other_actors_gets_them(events):
    """A search with eight shards on GPUs that is done by the one CPU actor of the stage before."""
    on_ray = RayWorkers(_Cluster(events))  # pyright: ignore[reportArgumentType]
    more = Request("cluster.mining_workers", 8, cpus_per_worker=4, uses_gpu=True)
    for request in (REQUEST, more, more):
        _search(on_ray, [], request)
    started = ["cluster", "search actors start"]
    assert events == [*started, "cluster", "search actors end", *started[1:], "cluster"]
