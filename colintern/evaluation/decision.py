"""Whether another round is worth it: the stop rule, on dev only."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from colintern.config.schema import LoopConfig
from colintern.evaluation.significance import Interval, paired_interval, queries_needed

CUTOFF = 5
METRIC = f"ndcg_at_{CUTOFF}"
MIN_QUERIES = 50  # fewer dev queries cannot tell a gain from chance
_NO_WIDTH = 1e-9  # of an interval: what rounding leaves where all queries changed alike


@dataclass(frozen=True)
class RoundDecision:
    """One round in `loop.json`: dev nDCG@5, its gain over the round before, what follows."""

    round: int
    dev: float
    gain: float
    ci: tuple[float, float]
    decision: Literal["continue", "stop"]
    reason: str


def decide(
    dev_values: Sequence[NDArray[np.float64]], loop: LoopConfig, seed: int
) -> list[RoundDecision]:
    """The decisions of all rounds that are evaluated so far.

    A round is flat when the interval of its gain over the round before does not lie above 0, or
    the gain is below `min_gain`. The loop stops after `patience` flat rounds in a row, or at
    `max_rounds`. Round 1 is never counted: it has not seen a mined negative yet. Nor is a round of
    which dev cannot tell: with fewer than `MIN_QUERIES` queries, or when all of them changed by the
    same, so that their interval has no width. (When none has changed at all, there is no gain.)

    Args:
        dev_values: nDCG@5 of every dev query, for round 0 (untrained), 1, 2, ...
        loop: max_rounds, min_gain, confidence, patience.
        seed: of the bootstrap.

    Returns:
        One decision for each round from 1 on, up to the first that stops.
    """
    decisions: list[RoundDecision] = []
    flat_in_a_row = 0
    for number in range(1, len(dev_values)):
        gain = paired_interval(
            dev_values[number], dev_values[number - 1], confidence=loop.confidence, seed=seed
        )
        unsure = _unsure(dev_values[number] - dev_values[number - 1], gain, loop)
        is_flat = not unsure and (gain.low <= 0 or gain.mean < loop.min_gain)
        flat_in_a_row = flat_in_a_row + 1 if is_flat and number > 1 else 0
        found = _judged(gain, unsure, is_flat, loop)
        decision, end = _decision(number, flat_in_a_row, loop)
        decisions.append(
            RoundDecision(
                round=number,
                dev=float(dev_values[number].mean()),
                gain=gain.mean,
                ci=(gain.low, gain.high),
                decision=decision,
                reason=found + end,
            )
        )
        if decision == "stop":
            break
    return decisions


def loop_document(decisions: Sequence[RoundDecision]) -> dict[str, Any]:
    """The content of `loop.json`; of equally good rounds the earlier one is the best."""
    best = max(decisions, key=lambda decision: (decision.dev, -decision.round))
    return {
        "metric": METRIC,
        "rounds": [{**asdict(decision), "ci": list(decision.ci)} for decision in decisions],
        "best_round": best.round,
    }


def _unsure(changes: NDArray[np.float64], gain: Interval, loop: LoopConfig) -> str | None:
    """Why dev cannot tell whether a round has gained anything; None when it can."""
    if len(changes) < MIN_QUERIES:
        needed = max(MIN_QUERIES, queries_needed(changes, confidence=loop.confidence))
        return f"cannot tell ({len(changes)} queries; about {needed} would do)"
    if gain.high - gain.low <= _NO_WIDTH and changes.any():
        return f"cannot tell ({len(changes)} queries, which all changed by the same)"
    return None


def _judged(gain: Interval, unsure: str | None, is_flat: bool, loop: LoopConfig) -> str:
    """What is said of a gain: whether it is one, and the figures."""
    percent = f"{100 * loop.confidence:g} %"
    found = f"dev nDCG@5 {gain.mean:+.4f}, {percent} interval {gain.low:+.4f} to {gain.high:+.4f}"
    if unsure:
        return f"{unsure}: {found}"
    return f"{'no real gain' if is_flat else 'a real gain'} ({found})"


def _decision(
    number: int, flat_in_a_row: int, loop: LoopConfig
) -> tuple[Literal["continue", "stop"], str]:
    """What follows, and why a round is the last."""
    if number >= loop.max_rounds:
        return "stop", f"; loop.max_rounds={loop.max_rounds} is reached"
    if flat_in_a_row >= loop.patience:
        return "stop", f" in {flat_in_a_row} round(s): loop.patience is used up"
    return "continue", ""
