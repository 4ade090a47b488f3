"""Fixtures that more than one folder of tests uses."""

import logging
import os
from dataclasses import replace

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
import torch

from colintern import log
from tests.helpers import CorpusFolder, make_corpus, make_store

torch.set_num_threads(1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """How `-n` shares the tests out; see `tests.sharing`."""
    from tests.sharing import ByFolder

    return ByFolder(config, log)


def pytest_collection_modifyitems(config, items):
    """With `-n`, the tests on Ray are begun first: they take longest, and no other can help."""
    if hasattr(config, "workerinput"):
        from tests.sharing import ON_RAY, part_of

        items.sort(key=lambda item: part_of(item.nodeid) != ON_RAY)


@pytest.fixture(scope="session", autouse=True)
def _cache_of_this_session(tmp_path_factory):
    """Features of stores on S3 are not kept in the home folder."""
    os.environ["COLINTERN_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session", autouse=True)
def _no_wait_for_the_disk():
    """Whole runs wait for it a hundred times each; no test here survives a power cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(autouse=True)
def _log_of_this_test(monkeypatch):
    """No command that a test calls leaves its log to the tests after it, nor what it warned of."""
    logger = logging.getLogger("colintern")
    before = logger.handlers[:], logger.level, logger.propagate
    monkeypatch.setattr(log.lines, "_warned", set())
    log.journal._waiting.clear()
    yield
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.fixture
def corpus(tmp_path) -> CorpusFolder:
    """A small canonical dataset folder with its feature store, both made of random numbers.

    With a smaller one, of other pictures, as its dev set.
    """
    folder = make_corpus(tmp_path / "pages", num_pages=40, num_queries=60)
    dev = make_corpus(tmp_path / "dev", num_pages=4, num_queries=4, first_picture=1_000)
    dev = make_store(dev, tmp_path / "dev-store")
    return make_store(replace(folder, dev=dev), tmp_path / "store")


@pytest.fixture(scope="session")
def s3_server():
    """An S3 server of our own; its address and credentials are in the environment."""
    from tests.s3_server import S3Server

    server = S3Server()
    os.environ.update(server.environment)
    with server.running():
        yield server


@pytest.fixture
def bucket(s3_server) -> str:
    """The URL of an empty bucket."""
    return s3_server.new_bucket()


@pytest.fixture(scope="session")
def ray_cluster(s3_server):
    """One local Ray for all tests of a session; its workers know the S3 server."""
    ray = pytest.importorskip("ray")
    # Ray's own 15 leaves its workers what the other process of the tests does not take.
    os.environ.update(RAY_worker_niceness="0")
    ray.init(
        address="local",
        num_cpus=4,
        include_dashboard=False,  # a dozen processes
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    yield
    ray.shutdown()
