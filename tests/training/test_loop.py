"""A whole round: it learns, repeats itself byte for byte, and its loss curve is known."""

import json
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from colintern.config.schema import HeadsConfig, TrainingConfig
from colintern.data.triples import Triple, writing_triples
from colintern.errors import ColInternError, LeaseLostError, NonFiniteError, StorageError
from colintern.model.heads import BackboneInfo, HeadsInfo, init_heads, load_heads, save_heads
from colintern.search.embedding import embed_queries
from colintern.search.shard import CorpusShard
from colintern.search.shards import LocalShards
from colintern.training.examples import TrainingSet
from colintern.training.finite import FiniteGuard
from colintern.training.loop import RoundTask, open_round, train_round
from colintern.training.schedule import learning_rate
from colintern.training.step import StepResult, train_step
from colintern.training.worker import Worker
from tests.helpers import WIDTH, measured

GOLDEN = Path(__file__).parent / "golden_losses.txt"
INFO = HeadsInfo(
    backbone=BackboneInfo(path="none", revision=None, layer=-1),
    features_width=WIDTH,
    dim=16,
    kind="linear",
    shared=False,
    page_prompt="",
    query_prefix="",
    query_augmentation_tokens=0,
    max_tiles=1,
    stores={},
)


def _task(
    corpus, folder: Path, round_number: int = 1, triples: str | None = None, **training
) -> RoundTask:
    first = str(folder / "first")
    save_heads(init_heads(HeadsConfig(dim=16), WIDTH, seed=0), first, INFO)
    settings = {"epochs": (5,), "global_batch": 12, "learning_rate": 5e-3, **training}
    return RoundTask(
        round_number=round_number,
        seed=0,
        catalog=corpus.catalog,
        training=TrainingConfig(**settings),
        first_heads=first,
        triples=triples,
        info=INFO,
        heads_folder=str(folder / "heads"),
        log_path=str(folder / "train_log.jsonl"),
    )


def _train(corpus, folder: Path, round_number: int = 1, triples: str | None = None) -> list[dict]:
    task = _task(corpus, folder, round_number, triples)
    news: list = []
    train_round(task, open_round(task), Worker(), news.append)
    assert news[-1]["step"] == news[-1]["steps"]
    assert news[-1]["maxsim"] == "plain"
    return [json.loads(line) for line in (folder / "train_log.jsonl").read_text().splitlines()]


def test_the_loss_curve_is_the_known_one(corpus, tmp_path):
    """A change of the maths that nobody meant: order of batches, mask, scale, schedule."""
    losses = [line["loss"] for line in _train(corpus, tmp_path)]
    golden = [float(line) for line in GOLDEN.read_text().split()]
    assert losses == pytest.approx(golden, rel=1e-4)
    assert losses[-1] < losses[0] / 2


def test_a_round_repeats_itself_byte_for_byte(corpus, tmp_path):
    """Anything that draws from a global random state or from the clock (property 12)."""
    _train(corpus, tmp_path / "one")
    _train(corpus, tmp_path / "two")
    first, second = (tmp_path / name / "heads" / "heads.safetensors" for name in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes() != (tmp_path / "one/first/heads.safetensors").read_bytes()


def test_a_round_that_fails_leaves_its_log(corpus, tmp_path, monkeypatch):
    """A loss that goes wrong for an hour, and nothing to see of it afterwards."""

    def fail_in_step_4(heads, strategy, batch, *others):
        if batch.step == 4:
            batch.page_TH[0] = float("nan")
        return train_step(heads, strategy, batch, *others)

    monkeypatch.setattr("colintern.training.loop.train_step", fail_in_step_4)
    task = _task(corpus, tmp_path)
    with pytest.raises(NonFiniteError, match="step 4"):
        train_round(task, open_round(task), Worker(), lambda _: None)
    lines = (tmp_path / "train_log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3]
    assert not (tmp_path / "heads").exists()


def test_the_log_ends_before_a_step_that_did_not_update(corpus, tmp_path, monkeypatch):
    """NaN in a JSON log, as a GPU would leave it when its failure is found some steps later."""

    def fail_in_step_4(heads, strategy, batch, *others):
        result = train_step(heads, strategy, batch, *others)
        if batch.step < 4:
            return result
        return StepResult(torch.tensor(float("nan")), result.grad_norm, torch.tensor(False))

    monkeypatch.setattr("colintern.training.loop.train_step", fail_in_step_4)
    task, news = _task(corpus, tmp_path), []
    train_round(task, open_round(task), Worker(), news.append)
    lines = (tmp_path / "train_log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3]
    assert all("step" in line for line in news)


def test_a_round_whose_last_step_fails_writes_no_heads(corpus, tmp_path, monkeypatch):
    """A last step that falls between two looks at a GPU, and heads that pass for trained."""

    def fail_in_step_25(heads, strategy, batch, *others):
        if batch.step == 25:
            batch.page_TH[0] = float("nan")
        return train_step(heads, strategy, batch, *others)

    late = partial(FiniteGuard, look_steps=16)
    monkeypatch.setattr("colintern.training.loop.FiniteGuard", late)
    monkeypatch.setattr("colintern.training.loop.train_step", fail_in_step_25)
    task = _task(corpus, tmp_path)
    with pytest.raises(NonFiniteError, match="step 25"):
        train_round(task, open_round(task), Worker(), lambda _: None)
    assert not (tmp_path / "heads").exists()


def test_a_driver_that_was_taken_over_writes_nothing(corpus, tmp_path):
    """The log of the driver that goes on, overwritten by the one that woke up too late."""

    def check() -> None:
        raise LeaseLostError("another driver has taken over")

    task = _task(corpus, tmp_path)
    (tmp_path / "train_log.jsonl").write_text("of the other driver")
    with pytest.raises(LeaseLostError):
        train_round(task, open_round(task), Worker(), lambda _: None, check)
    assert (tmp_path / "train_log.jsonl").read_text() == "of the other driver"
    assert not (tmp_path / "heads").exists()


@pytest.mark.parametrize("lost", ["storage", "GPU", "lease"])
def test_a_log_that_cannot_be_saved_hides_nothing(corpus, tmp_path, monkeypatch, caplog, lost):
    """A loss that is not finite, shown as a full disk; or a full disk that nobody hears of."""

    def fail_in_step_4(heads, strategy, batch, *others):
        if batch.step == 4:
            batch.page_TH[0] = float("nan")
        return train_step(heads, strategy, batch, *others)

    def fail(*_) -> None:
        raise {
            "storage": StorageError("train_log.jsonl: the disk is full"),
            "GPU": RuntimeError("train_log.jsonl: the GPU is gone"),
            "lease": LeaseLostError("train_log.jsonl: another driver has taken over"),
        }[lost]

    caplog.set_level("INFO", "colintern")
    monkeypatch.setattr("colintern.training.loop._StepLog.save", fail)
    task = _task(corpus, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("colintern.training.loop.train_step", fail_in_step_4)
        with pytest.raises(NonFiniteError, match="step 4"):
            train_round(task, open_round(task), Worker(), lambda _: None)
    assert "the log of this round is not saved: train_log.jsonl" in caplog.text
    with pytest.raises((ColInternError, RuntimeError), match=r"train_log\.jsonl"):
        train_round(task, open_round(task), Worker(), lambda _: None)  # nothing else went wrong
    assert not (tmp_path / "heads").exists()


def _train_ranked(rank: int, world_size: int, task: RoundTask) -> None:
    train_round(task, open_round(task), Worker(rank, world_size), lambda _: None)


def test_two_workers_train_as_one(ranks, corpus, tmp_path):
    """A drift between worker counts that one step does not show (2); another one each time (12)."""
    alone = _train(corpus, tmp_path / "one")
    for name in ("two", "again"):
        (tmp_path / name).mkdir()
        ranks.run(_train_ranked, 2, _task(corpus, tmp_path / name))
    heads = [tmp_path / name / "heads" / "heads.safetensors" for name in ("two", "again")]
    assert heads[0].read_bytes() == heads[1].read_bytes()
    lines = (tmp_path / "two" / "train_log.jsonl").read_text().splitlines()
    shared = [json.loads(line)["loss"] for line in lines]
    assert len(shared) == len(alone) == 25
    assert shared[:20] == pytest.approx([line["loss"] for line in alone[:20]], rel=1e-4)
    scores = [_ndcg(corpus, tmp_path / name / "heads") for name in ("one", "two")]
    assert scores[0] > 0.2
    assert abs(scores[0] - scores[1]) <= 0.01


def _ndcg(corpus, heads_folder: Path) -> float:
    return _evaluated(corpus, heads_folder)["metrics"]["ndcg_at_5"]


def _evaluated(corpus, heads_folder: Path) -> dict:
    view, store = corpus.catalog.evaluated("test")
    heads, _ = load_heads(str(heads_folder))
    queries = embed_queries(heads, store.queries, view.queries)
    shards = LocalShards([CorpusShard(store.pages, heads, view.pages)])
    return measured(view, shards, queries)[1]


def test_mined_negatives_change_what_is_learned(corpus, tmp_path):
    """Triples that are read but never reach the loss."""
    path = str(tmp_path / "triples.jsonl")
    triples = [
        Triple(f"q{n:03d}", "?", [f"p{n % 40:03d}"], [f"p{(n + 5) % 40:03d}"], [0.5], [0.4], [2])
        for n in range(2, 60)
    ]
    with writing_triples(path) as write:
        for triple in triples:
            write(triple)
    with_negatives = _train(corpus, tmp_path / "with", 2, path)
    without = _train(corpus, tmp_path / "without", 2, None)
    assert len(with_negatives) == len(without)
    assert with_negatives[0]["loss"] > without[0]["loss"]


def test_an_epoch_takes_every_pair_once_in_an_order_of_its_own(corpus):
    """Examples repeated or left out; every epoch alike; negatives that depend on the worker."""
    view, store = corpus.catalog.train()
    batches = list(TrainingSet(view, store).batches(20, 2, 0, seed="7"))
    assert [batch.step for batch in batches] == [1, 2, 3, 4, 5, 6]
    first = [example.query for batch in batches[:3] for example in batch.examples]
    second = [example.query for batch in batches[3:] for example in batch.examples]
    assert sorted(first) == sorted(second) == list(range(len(view.judgements)))
    assert first != second


def test_the_schedule_warms_up_and_decays():
    """A first step at full rate, or a last step at none."""
    training = TrainingConfig(learning_rate=1.0, warmup_fraction=0.1, schedule="linear")
    rates = [learning_rate(step, 100, training) for step in range(1, 101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == pytest.approx(1.0)
    assert 0 < rates[-1] < 0.02
    assert all(late <= early for early, late in pairwise(rates[9:]))
