"""Decides whether another round follows. Only the dev set is looked at."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from colintern.config.schema import LoopConfig
from colintern.evaluation.significance import Interval, paired_interval, queries_needed

CUTOFF = 5
METRIC = f"ndcg_at_{CUTOFF}"
MIN_QUERIES = 50  # with fewer dev queries a gain cannot be told from chance
_NO_WIDTH = 1e-9  # width of an interval that rounding leaves if all queries change equally


@dataclass(frozen=True)
class RoundDecision:
    """One round in `loop.json`.

    Attributes:
        round: its number, from 1.
        dev: nDCG@5 of the dev set, in [0, 1].
        gain: of `dev`, over the round before.
        ci: the ends of the gain's confidence interval.
        decision: whether another round follows.
        reason: for people.
    """

    round: int
    dev: float
    gain: float
    ci: tuple[float, float]
    decision: Literal["continue", "stop"]
    reason: str


def decide(
    dev_values: Sequence[NDArray[np.float64]], loop: LoopConfig, seed: int
) -> list[RoundDecision]:
    """The decisions for all rounds that are evaluated so far.

    A round is *flat* if the interval of its gain over the round before is not above 0, or if the
    gain is below `min_gain`. The loop stops after `patience` flat rounds in a row, or at
    `max_rounds`. These rounds never count as flat:

    - round 1, which was trained without mined negatives;
    - a round with fewer than `MIN_QUERIES` dev queries: they are too few to judge;
    - a round in which all dev queries changed by the same amount, not 0: the interval has no width.

    Args:
        dev_values: nDCG@5 of each dev query, for round 0 (untrained), 1, 2, ...
        loop: max_rounds, min_gain, confidence, patience.
        seed: of the bootstrap.

    Returns:
        One decision per round from 1 on, up to the first that stops.
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
        decision, end = _decision(number, is_flat, flat_in_a_row, loop)
        found = _judged(gain, unsure, is_flat, decision == "continue", loop)
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
    """The content of `loop.json`. Of equally good rounds, the earliest is the best."""
    best = max(decisions, key=lambda decision: (decision.dev, -decision.round))
    return {
        "metric": METRIC,
        "rounds": [{**asdict(decision), "ci": list(decision.ci)} for decision in decisions],
        "best_round": best.round,
    }


def _unsure(changes: NDArray[np.float64], gain: Interval, loop: LoopConfig) -> str | None:
    """Why the dev set cannot show whether a round has a gain; None if it can."""
    if len(changes) < MIN_QUERIES:
        needed = max(MIN_QUERIES, queries_needed(changes, confidence=loop.confidence))
        return f"cannot tell ({len(changes)} queries; about {needed} would do)"
    if gain.high - gain.low <= _NO_WIDTH and changes.any():
        return f"cannot tell ({len(changes)} queries, which all changed by the same)"
    return None


def _judged(
    gain: Interval, unsure: str | None, is_flat: bool, goes_on: bool, loop: LoopConfig
) -> str:
    """The first part of a reason: whether there is a gain, and the figures."""
    percent = f"{100 * loop.confidence:g} %"
    found = f"dev nDCG@5 {gain.mean:+.4f}, {percent} interval {gain.low:+.4f} to {gain.high:+.4f}"
    if unsure:
        return f"{unsure}: {found}"
    if not is_flat:
        return f"a real gain ({found})"
    return f"no real gain{' yet' if goes_on else ''} ({found})"


def _decision(
    number: int, is_flat: bool, flat_in_a_row: int, loop: LoopConfig
) -> tuple[Literal["continue", "stop"], str]:
    """Whether another round follows, and the last part of a reason: why, where it is not plain."""
    if number >= loop.max_rounds:
        return "stop", f"; loop.max_rounds={loop.max_rounds} is reached"
    if not is_flat:
        return "continue", ""
    if number == 1:
        return "continue", "; round 1, which comes before all mining, never ends the loop"
    left = loop.patience - flat_in_a_row
    more = "1 more round" if left == 1 else f"{left or 'no'} more rounds"
    allowed = f"; {more} without a gain {'is' if left == 1 else 'are'} allowed (loop.patience)"
    return "continue" if left else "stop", allowed
