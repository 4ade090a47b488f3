"""Operations of training and of search are those that torch counts."""

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from colintern.config.files import parse_config
from colintern.config.schema import HeadsConfig, TrainingConfig
from colintern.features.codec import Codec
from colintern.model.heads import init_heads
from colintern.runs.plan.machine import machine_of
from colintern.runs.plan.sizes import Amounts, DatasetSizes
from colintern.runs.plan.work import Work
from colintern.training.batch import Batch
from colintern.training.finite import FiniteGuard
from colintern.training.step import train_step
from colintern.training.strategy import make_strategy
from colintern.training.worker import Worker

WIDTH, PAIRS, NEGATIVES, QUERY_TOKENS, PAGE_TOKENS = 48, 6, 3, 5, 20


def _work(**sections: Any) -> Work:
    document = {
        "data": {"train": "demo-small", "dev": "demo-small", "eval": []},
        "training": {"global_batch": PAIRS, "negatives_per_query": NEGATIVES},
        **sections,
    }
    config = parse_config(document, "test")
    pages = Amounts(50, 50 * PAGE_TOKENS, PAGE_TOKENS, 50 * 10**9)
    queries = Amounts(60, 60 * QUERY_TOKENS, QUERY_TOKENS, 60 * 10**6)
    sizes = {
        name: DatasetSizes(name, pages, pages, 0, 0, queries, queries, 0, 60, 61, 50, False)
        for name in ("demo-small-train", "dev")
    }
    machine = machine_of("cpu", 2, cores_per_device=1, is_disk=True)
    return Work(config, machine, Codec("bfloat16", WIDTH, (4, 4)), sizes)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_a_step_takes_what_torch_counts(kind):
    """Rounds planned without their backward pass, or with gradients that nobody computes."""
    work = _work(heads={"kind": kind, "dim": 16})
    pages = PAIRS * (1 + NEGATIVES)
    batch = Batch(
        step=1,
        epoch=1,
        query_TH=torch.randn(PAIRS * QUERY_TOKENS, WIDTH),
        query_lengths=[QUERY_TOKENS] * PAIRS,
        page_TH=torch.randn(pages * PAGE_TOKENS, WIDTH),
        page_lengths=[PAGE_TOKENS] * PAIRS,
        negative_lengths=[[PAGE_TOKENS] * NEGATIVES] * PAIRS,
        global_page_lengths=[PAGE_TOKENS] * PAIRS,
        positive_B=torch.arange(PAIRS),
        mask_BD=~torch.eye(PAIRS, dtype=torch.bool),
    )
    heads = init_heads(HeadsConfig(kind=kind, dim=16), WIDTH, seed=1)
    training, worker = TrainingConfig(global_batch=PAIRS), Worker()
    strategy = make_strategy(heads, training, worker)
    with FlopCounterMode(display=False) as counter:
        train_step(heads, strategy, batch, 1e-4, training, worker, FiniteGuard(worker))
    assert work.step().flops == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_rounds_count_their_steps_negatives_and_readers():
    """A round 2 that is as cheap as round 1, or pages that are read once for many passes."""
    work = _work(training={"global_batch": PAIRS, "epochs": [1, 3], "negatives_per_query": 3})
    stages = {stage.name: stage for stage in work.stages()}
    first, second = stages["round-1-train"], stages["round-2-train"]
    steps = 61 // PAIRS
    tokens = PAIRS * (PAGE_TOKENS + QUERY_TOKENS)
    assert first.read_bytes == steps * tokens * WIDTH * 2
    tokens = PAIRS * ((1 + NEGATIVES) * PAGE_TOKENS + QUERY_TOKENS)
    assert second.read_bytes == 3 * steps * tokens * WIDTH * 2
    assert second.flops == 3 * steps * work.step().flops
    assert "round-1-mine" not in stages
    search = 60 * QUERY_TOKENS * 50 * PAGE_TOKENS * 128
    heads = (60 * QUERY_TOKENS + 50 * PAGE_TOKENS) * WIDTH * 128
    assert stages["round-2-mine"].flops == 2 * (search + heads)
    assert stages["round-2-mine"].flops == stages["round-0-evaluate-dev"].flops
    assert stages["encode"].flops == 2 * (50 * 10**9 + 60 * 10**6)
    without = _work(training={"negatives_per_query": 0})
    assert "round-2-mine" not in {stage.name for stage in without.stages()}


def test_what_is_held_out_for_dev_is_neither_trained_on_nor_mined():
    """Mining of pages that answer dev, or a dev set that is searched in its own pages only."""
    data = {"train": "demo-small", "dev": None, "dev_fraction": 0.2, "eval": []}
    stages = {stage.name: stage for stage in _work(data=data).stages()}

    def read(num_pages: int, num_queries: int) -> int:
        return (num_pages * PAGE_TOKENS + num_queries * QUERY_TOKENS) * WIDTH * 2

    assert stages["round-2-mine"].read_bytes == read(40, 48)
    assert stages["round-2-evaluate-dev"].read_bytes == read(50, 12)
    assert stages["round-1-train"].read_bytes == 49 // PAIRS * PAIRS * read(1, 1)
