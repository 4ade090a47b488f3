"""The stop rule of the loop."""

import numpy as np
import pytest

from colintern.config.schema import LoopConfig
from colintern.evaluation.decision import decide, loop_document

DRAW = np.random.default_rng(0)
BASE = DRAW.random(200) * 0.5


def _rounds(*gains: float) -> list[np.ndarray]:
    values = [BASE]
    for gain in gains:
        values.append(values[-1] + gain + DRAW.normal(0, 0.01, 200))
    return values


@pytest.mark.parametrize(
    ("gains", "settings", "decisions"),
    [
        ((0.2, 0.1), {"max_rounds": 5}, ["continue", "continue"]),
        ((0.2, 0.1), {"max_rounds": 2}, ["continue", "stop"]),
        ((0.2, -0.1), {"max_rounds": 5}, ["continue", "stop"]),
        ((0.2, 0.05), {"max_rounds": 5, "min_gain": 0.06}, ["continue", "stop"]),
        ((0.2, -0.1, -0.1), {"max_rounds": 5, "patience": 2}, ["continue", "continue", "stop"]),
        ((0.2, -0.1, 0.1, -0.1), {"max_rounds": 9, "patience": 2}, ["continue"] * 4),
        ((-0.1, 0.1), {"max_rounds": 5}, ["continue", "continue"]),
    ],
)
def test_decisions(gains, settings, decisions):
    """A loop that stops at noise, never stops, or stops before it has mined at all."""
    found = decide(_rounds(*gains), LoopConfig(**settings), seed=0)
    assert [entry.decision for entry in found] == decisions
    assert [entry.gain for entry in found] == pytest.approx(gains, abs=0.01)
    assert all(entry.ci[0] < entry.gain < entry.ci[1] for entry in found)


@pytest.mark.parametrize(
    ("gains", "settings", "begins", "ends"),
    [
        ((-0.1,), {}, "no real gain yet (", "; round 1, which comes before all mining, never ends"),
        ((0.2,), {}, "a real gain (", ")"),
        ((0.2, -0.1), {"patience": 3}, "no real gain yet (", "; 2 more rounds without a gain are"),
        ((0.2, -0.1), {"patience": 2}, "no real gain yet (", "; 1 more round without a gain is"),
        ((0.2, -0.1), {}, "no real gain (", "; no more rounds without a gain are allowed"),
        ((0.2, -0.1), {"max_rounds": 2}, "no real gain (", "; loop.max_rounds=2 is reached"),
    ],
)
def test_a_reason_says_why_the_loop_goes_on_or_ends(gains, settings, begins, ends):
    """`no real gain; continue`, and nobody knows why or for how long."""
    loop = LoopConfig(**{"max_rounds": 9, **settings})
    reason = decide(_rounds(*gains), loop, seed=0)[-1].reason
    assert reason.startswith(begins)
    assert ends in reason.partition(")")[2] or reason.endswith(ends)


@pytest.mark.parametrize(
    ("changes", "told", "flat"),
    [
        (
            np.array([0.1131]),
            "cannot tell (1 queries; about 50 would do): dev nDCG@5 +0.1131",
            False,
        ),
        (DRAW.normal(0.0, 0.3, 36), "cannot tell (36 queries; about ", False),
        (DRAW.normal(-0.4, 0.1, 49), "cannot tell (49 queries; about 50 would do)", False),
        (np.zeros(36), "cannot tell (36 queries; about 50 would do)", False),
        (np.full(80, 0.1), "cannot tell (80 queries, which all changed by the same)", False),
        (np.zeros(80), "no real gain", True),
        (DRAW.normal(0.0, 0.1, 50), "no real gain", True),
        (DRAW.normal(0.4, 0.1, 50), "a real gain", False),
    ],
)
def test_a_decision_needs_evidence(changes, told, flat):
    """`a real gain` of one query, a loop that 36 queries end, an interval of no width believed."""
    before = np.full(len(changes), 0.3)
    values = [before, before, before + changes]
    second = decide(values, LoopConfig(max_rounds=9), seed=0)[1]
    assert second.reason.startswith(told)
    assert second.decision == ("stop" if flat else "continue")
    last = decide(values, LoopConfig(max_rounds=2), seed=0)[1]
    assert last.decision == "stop"
    assert last.reason.startswith(told)
    assert last.reason.endswith("; loop.max_rounds=2 is reached")


def test_a_round_of_which_dev_cannot_tell_is_not_flat():
    """Patience used up by rounds of which nothing is known."""
    few = np.random.default_rng(1).random((6, 20))
    found = decide(list(few), LoopConfig(max_rounds=9, patience=1), seed=0)
    assert [entry.decision for entry in found] == ["continue"] * 5
    assert loop_document(found)["best_round"] == 1 + int(few[1:].mean(axis=1).argmax())


def test_the_best_round_is_the_best_on_dev_and_the_earlier_of_equals():
    """The last round exported although an earlier one was better."""
    values = [BASE, BASE + 0.2, BASE + 0.3, BASE + 0.3, BASE + 0.1]
    found = decide(values, LoopConfig(max_rounds=9, patience=9), seed=0)
    document = loop_document(found)
    assert document["best_round"] == 2
    assert document["metric"] == "ndcg_at_5"
    assert list(document["rounds"][0]) == ["round", "dev", "gain", "ci", "decision", "reason"]
