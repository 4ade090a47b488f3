"""What a person is told of how a run goes on."""

import logging

import pytest

from colintern.config.schema import BackboneConfig
from colintern.run.progress import say_at_chance


@pytest.mark.parametrize(
    ("backbone", "round_number", "level", "words"),
    [
        ("reader", 0, logging.INFO, ["if trained heads are no better", "InternVL3-1B-hf"]),
        ("reader", 1, logging.WARNING, ["backbone.path=reader, which reads plain printed English"]),
        ("reader", 3, logging.WARNING, ["backbone.max_tiles=12", "judgements", "InternVL3-1B-hf"]),
        ("random", 1, logging.WARNING, ["backbone.path=random cannot read"]),
        ("/models/good", 0, None, []),
        ("/models/good", 1, logging.WARNING, ["this backbone may not read", "max_tiles=12"]),
    ],
)
def test_a_result_at_chance_level_is_said_to_be_that(
    caplog, monkeypatch, backbone, round_number, level, words
):
    """nDCG@5 0.010 over 311 scans, reported like any other result."""
    monkeypatch.setattr("colintern.log._warned", set())
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
