"""Mining and evaluation in actors that may vanish."""

import os
import threading
from functools import partial

import pytest
import ray
from ray.exceptions import RayActorError

from colintern.config.schema import EvaluationConfig, MiningConfig
from colintern.model.heads import save_heads
from colintern.records import lease
from colintern.runs.local import open_corpus
from colintern.runs.stages.evaluate import measure
from colintern.runs.stages.mine import mine_triples
from colintern.runtime import search_pool
from colintern.runtime.relay import Relay
from colintern.runtime.resources import Request
from colintern.runtime.search_pool import SearchPool
from tests.helpers import knowing_heads
from tests.training.test_loop import INFO

pytestmark = pytest.mark.ray


def _untold(_) -> None:
    """Progress that nobody asks for."""


@pytest.fixture
def held(tmp_path):
    with lease.held(str(tmp_path / "run"), wait=False) as held:
        yield held


@pytest.fixture
def mining(held, tmp_path) -> partial:
    save_heads(knowing_heads(16), str(tmp_path / "heads"), INFO)
    return partial(
        mine_triples,
        heads_folder=str(tmp_path / "heads"),
        settings=MiningConfig(relative_margin=0.0),
        seed=0,
        triples_path=str(tmp_path / "first.jsonl"),
        mining_path=str(tmp_path / "mining.json"),
        check=held.check,
    )


@pytest.fixture
def evaluation(mining, held, tmp_path) -> partial:
    return partial(
        measure,
        dataset="test",
        heads_folder=str(tmp_path / "heads"),
        settings=EvaluationConfig(),
        round_number=1,
        seed=0,
        device="cpu",
        encoding={},
        json_path=str(tmp_path / "test.json"),
        results_path=str(tmp_path / "test.parquet"),
        record_path=str(tmp_path / "record.json"),
        check=held.check,
    )


def test_a_lost_worker_changes_nothing(mining, evaluation, held, ray_cluster, tmp_path, corpus):
    """A run that ends because a spot machine, or the searcher's own process, is gone."""
    mined = mining(corpus.catalog, open_corpus, _untold)
    triples = (tmp_path / "first.jsonl").read_bytes()
    assert triples
    measured = evaluation(corpus.catalog, open_corpus, _untold)
    assert measured["num_queries"] == 60

    pool = SearchPool(Request("cluster.mining_workers", 2), held)
    again = partial(mining, triples_path=str(tmp_path / "second.jsonl"))
    died, told = tmp_path / "died", tmp_path / "told"

    def die_once(_) -> None:
        if not died.exists():
            died.touch()
            os._exit(1)

    assert pool.do(again, corpus.catalog, die_once) == mined
    assert died.exists()
    assert (tmp_path / "second.jsonl").read_bytes() == triples

    lost = pool._shards[1]
    ray.kill(lost)
    assert pool.do(evaluation, corpus.catalog, lambda _: told.touch()) == measured
    assert told.exists()
    assert lost not in pool._shards
    pool.close()


def test_workers_that_are_always_lost_end_the_stage(
    mining, held, ray_cluster, tmp_path, corpus, monkeypatch
):
    """A stage that is repeated for ever, as when its memory never suffices."""
    monkeypatch.setattr(search_pool, "_MAX_REPEATS", 1)  # new workers take seconds
    pool = SearchPool(Request("cluster.mining_workers", 1), held)

    def die(_) -> None:
        with (tmp_path / "deaths").open("a") as file:
            file.write("x")
        os._exit(1)

    with pytest.raises(RayActorError):
        pool.do(mining, corpus.catalog, die)
    assert len((tmp_path / "deaths").read_text()) == 2
    pool.close()


def test_a_relay_that_dies_takes_only_the_progress(ray_cluster, monkeypatch):
    """A traceback of a thread, in the middle of a stage that goes on."""
    crashes = []
    monkeypatch.setattr(threading, "excepthook", crashes.append)
    shown = []
    relay = Relay()
    with relay.showing(shown.append) as tell:
        relay.close()
        tell({"step": 1})
    assert crashes == shown == []


def test_what_is_told_last_is_shown_with_its_own_stage(ray_cluster):
    """The last lines of a stage lost, or shown as another's that comes after it."""
    relay, first, second = Relay(), [], []
    with relay.showing(first.append) as tell:
        tell({"step": 1})
    with relay.showing(second.append) as tell_next:
        tell({"step": 2})  # from a worker of the stage before
        tell_next({"step": 3})
    relay.close()
    assert (first, second) == ([{"step": 1}], [{"step": 3}])
