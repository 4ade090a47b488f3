"""What a person is told of how a run goes on."""

import logging

import pytest

from colintern.config.schema import BackboneConfig
from colintern.runs.progress import (
    say_at_chance,
    say_metrics,
    telling_queries,
    telling_steps,
)


@pytest.mark.parametrize(
    ("backbone", "round_number", "level", "words"),
    [
        ("reader", 0, logging.INFO, ["if trained heads are no better", "InternVL3-1B-hf"]),
        ("reader", 1, logging.WARNING, ["backbone.path=reader, which reads plain printed English"]),
        ("reader", 3, logging.WARNING, ["backbone.max_tiles=12", "judgements", "InternVL3-1B-hf"]),
        (
            "random",
            1,
            logging.WARNING,
            ["backbone.path=random cannot read", "`colintern download OpenGVLab/"],
        ),
        ("/models/good", 0, None, []),
        ("/models/good", 1, logging.WARNING, ["this backbone may not read", "max_tiles=12"]),
    ],
)
def test_a_result_at_chance_level_is_said_to_be_that(caplog, backbone, round_number, level, words):
    """nDCG@5 0.010 over 311 scans, reported like any other result."""
    caplog.set_level(logging.INFO, "colintern")
    document = {
        "dataset": "dev",
        "round": round_number,
        "num_pages": 311,
        "metrics": {"ndcg_at_5": 0.0104},
        "ci": {"ndcg_at_5": [0.002, 0.02]},
        "chance": {"ndcg_at_5": 0.0095},
    }
    say_at_chance(document, BackboneConfig(path=backbone))
    assert [record.levelno for record in caplog.records] == ([level] if level else [])
    found = (
        f"round {round_number}  dev: nDCG@5 0.010 is hardly better than a random order of its 311"
    )
    for part in (f"{found} pages (0.009)", *words) if level else ():
        assert part in caplog.text
    caplog.clear()
    say_at_chance({**document, "ci": {"ndcg_at_5": [0.2, 0.3]}}, BackboneConfig(path=backbone))
    assert not caplog.records


def test_the_line_of_a_round_names_chance_where_it_is_no_better(caplog):
    """nDCG@5 0.010 in a line like that of any other round; noise behind a good result."""
    caplog.set_level(logging.INFO, "colintern")
    names = ("ndcg_at_5", "mrr_at_10", "recall_at_1", "recall_at_10")
    document = {"dataset": "dev", "round": 2, "metrics": dict.fromkeys(names, 0.01)}
    document |= {"chance": {"ndcg_at_5": 0.0095}, "ci": {"ndcg_at_5": [0.002, 0.02]}}
    say_metrics(document)
    assert caplog.messages[-1].endswith("Recall@10 0.010   at chance level (0.009)")
    say_metrics({**document, "ci": {"ndcg_at_5": [0.2, 0.3]}})
    assert caplog.messages[-1].endswith("Recall@10 0.010")


def test_training_and_queries_are_told_like_every_pass(caplog):
    """Training in lines of its own, an evaluation without any; fused kernels that nobody hears of.

    Workers report from other processes: what they tell is a mapping.
    """
    caplog.set_level(logging.INFO, "colintern")
    told = {"steps": 4, "loss": 0.5, "grad_norm": 1.0, "lr": 1e-3, "pairs_per_second": 3_000.0}
    with telling_steps(2) as tell:
        for step in (2, 4):
            tell({**told, "step": step, "maxsim": "fused"})
    with telling_queries("mine", 2, "train") as tell:
        for done in (0, 500, 1_000):
            tell({"done": done, "queries": 1_000})
    lines = [record.getMessage() for record in caplog.records]
    steps, kernels, queries = lines
    assert steps.startswith("train     round 2: 4 / 4 steps   loss 0.5000   grad 1.000")
    assert "lr 1.0e-03   3,000 pairs/s" in steps
    assert kernels == "train     round 2  trained with fused MaxSim kernels"
    assert queries.startswith("mine      round 2  train: 1,000 / 1,000 queries   ")
