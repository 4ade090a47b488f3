"""Ray Train around the round: the same heads as without it."""

import json
import time
from dataclasses import replace

import fsspec
import pytest
import ray.train
import torch

from colintern import storage
from colintern.errors import ColInternError, StorageError
from colintern.features.catalog import Catalog
from colintern.model.heads import load_heads
from colintern.records import lease
from colintern.runtime.resources import Request
from colintern.runtime.train import _scratch, train
from colintern.training.loop import open_round, train_round
from colintern.training.worker import Worker
from tests.training.test_loop import _task

pytestmark = pytest.mark.ray


class _FailsOnTheSecond(Catalog):
    """Training pages that the second worker can never read, each attempt noted in a file."""

    def train(self):
        view, store = super().train()
        if ray.train.get_context().get_world_rank() == 1:
            store.pages.read = self._fail
        return view, store

    def _fail(self, page_ids):
        with open(f"{self.stores['train']}/attempts", "a") as attempts:
            attempts.write("one\n")
        raise StorageError("pages/shard-0.safetensors: cannot be read")


def _train(task, num_workers, folder, show=lambda _: None):
    with lease.held(str(folder), wait=False) as held:
        train(task, Request("training.num_workers", num_workers), held, show)


def test_two_ray_workers_train_as_one_process(corpus, tmp_path, ray_cluster):
    """Workers that each train their own heads; progress that never reaches the driver."""
    alone = _task(corpus, tmp_path / "alone")
    train_round(alone, open_round(alone), Worker(), lambda _: None)
    shared, told = _task(corpus, tmp_path / "shared"), []
    _train(shared, 2, tmp_path, told.append)
    expected, found = (load_heads(task.heads_folder)[0] for task in (alone, shared))
    for name, weight in expected.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], weight, atol=1e-3, rtol=1e-3)
    assert told[-1]["step"] == told[-1]["steps"] == 25


def test_a_round_that_fails_says_why(corpus, tmp_path, ray_cluster):
    """An error on purpose taken for a lost machine and tried again, or lost.

    That of one of two workers is in the next test.
    """
    task = replace(_task(corpus, tmp_path), first_heads=str(tmp_path / "gone"))
    with pytest.raises(ColInternError, match="gone"):
        _train(task, 0, tmp_path)


def test_ray_train_keeps_its_files_where_the_run_is(bucket, s3_server, monkeypatch):
    """A file system of Ray Train's own, without the address and credentials that fsspec has."""
    known = {
        "endpoint_url": s3_server.environment["AWS_ENDPOINT_URL"],
        "key": s3_server.environment["AWS_ACCESS_KEY_ID"],
        "secret": s3_server.environment["AWS_SECRET_ACCESS_KEY"],
    }
    monkeypatch.setitem(fsspec.config.conf, "s3", known)
    for name in s3_server.environment:
        monkeypatch.delenv(name)
    with _scratch(f"{bucket}/run") as (file_system, folder):
        file_system.create_dir(f"{folder}/round-1", recursive=True)
        with file_system.open_output_stream(f"{folder}/round-1/state") as file:
            file.write(b"written")
        assert storage.read_bytes(f"{bucket}/run/ray-train/round-1/state") == b"written"
    assert storage.find_files(bucket) == []


def test_what_one_worker_meets_alone_ends_the_group_and_is_told(
    corpus, tmp_path, ray_cluster, monkeypatch
):
    """The other workers waiting half an hour in a collective; Ray's traceback instead of a line."""
    monkeypatch.setattr("colintern.runtime.train._MAX_FAILURES", 1)
    catalog = corpus.catalog
    failing = _FailsOnTheSecond(catalog.data, catalog.seed, catalog.stores)
    began = time.monotonic()
    with pytest.raises(StorageError) as told:
        _train(replace(_task(corpus, tmp_path), catalog=failing), 2, tmp_path)
    assert str(told.value) == "pages/shard-0.safetensors: cannot be read"
    assert (tmp_path / "store" / "attempts").read_text() == "one\n" * 2
    assert time.monotonic() - began < 300  # a collective gives up after 1,800 seconds


@pytest.mark.slow
def test_deepspeed_trains_the_same_heads(corpus, tmp_path, ray_cluster, monkeypatch):
    """Gradients scaled, clipped or averaged otherwise than under DDP."""
    pytest.importorskip("deepspeed")
    # A low rate: what is compared is the maths, not how fast rounding grows.
    plain = _task(corpus, tmp_path / "ddp", learning_rate=5e-4)
    train_round(plain, open_round(plain), Worker(), lambda _: None)
    zero = _task(corpus, tmp_path / "deepspeed", strategy="deepspeed", learning_rate=5e-4)
    _train(zero, 2, tmp_path)
    logs = [
        [json.loads(line)["loss"] for line in (tmp_path / name / "train_log.jsonl").open()]
        for name in ("ddp", "deepspeed")
    ]
    assert logs[1][:20] == pytest.approx(logs[0][:20], rel=1e-4)
    expected, found = (load_heads(task.heads_folder)[0] for task in (plain, zero))
    for name, weight in expected.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], weight, atol=1e-3, rtol=1e-3)
