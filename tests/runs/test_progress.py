"""What a person is told of how a run goes on."""

import logging

import pytest

from colintern.config.schema import BackboneConfig
from colintern.runs import progress
from colintern.runs.progress import queries_line, say_at_chance, say_metrics


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


def test_a_long_pass_tells_its_quarters_and_a_short_one_nothing(caplog, monkeypatch):
    """An evaluation of a hundred thousand queries that is silent; lines for one of a second."""
    caplog.set_level(logging.INFO, "colintern")
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    for seconds_a_block, quarters in ((0.1, []), (3.0, ["250", "500", "750", "1,000"])):
        caplog.clear()
        say = queries_line("evaluate", 1, "dev")
        for done in range(50, 1_001, 50):
            clock[0] += seconds_a_block
            say({"done": done, "queries": 1_000})
        assert [record.getMessage().split(": ")[1] for record in caplog.records] == [
            f"{done} / 1,000 queries" for done in quarters
        ]
        assert all("evaluate  round 1  dev: " in line for line in caplog.text.splitlines())
