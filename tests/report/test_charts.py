"""The drawings: small for long runs, and lines that can be told apart."""

import re

import numpy as np
import pytest

from colintern.report.charts import (
    COLOURS,
    ladder_chart,
    line_styles,
    loss_chart,
    rounds_chart,
    smoothed,
    thinned,
)

_PAPERS = ("#ffffff", "#15181c")  # of report.css


@pytest.mark.parametrize("num_steps", [1, 7, 600, 601, 200_000])
def test_losses_of_a_long_round_are_the_means_of_neighbours(num_steps):
    """A drawing of many megabytes, made in hours; steps left out at the end, or counted twice."""
    values = np.sin(np.arange(num_steps)).tolist()
    step_N, loss_N = thinned(values)
    assert len(step_N) == len(loss_N) == min(num_steps, 600)
    assert step_N.mean() == pytest.approx((num_steps + 1) / 2, abs=0.6)
    if num_steps <= 600:
        assert step_N.tolist() == list(range(1, num_steps + 1))
        assert loss_N.tolist() == pytest.approx(values)
    assert smoothed(loss_N)[0] == pytest.approx(loss_N[: 1 + max(1, len(loss_N) // 20)].mean())
    assert len(loss_chart({"round 1": values, "round 2": values})) < 150_000


def test_smoothed_losses_are_means_around_each_step():
    """A line that runs ahead of what it smooths."""
    values = np.random.default_rng(0).random(100)
    expected = [values[max(0, n - 5) : n + 6].mean() for n in range(100)]
    assert smoothed(values).tolist() == pytest.approx(expected)


def test_many_datasets_have_lines_that_differ_and_names_outside():
    """Two test sets in one colour with one mark; names that cover the lines."""
    lines = line_styles(20)
    assert len(set(lines)) == 20
    drawings = {
        number: rounds_chart({f"set-{n}": [(0.5, 0.4, 0.6)] * 2 for n in range(number)}, "m", "s")
        for number in (2, 10)
    }
    heights = {
        n: float(re.findall(r'viewBox="0 0 [\d.]+ ([\d.]+)"', d)[0]) for n, d in drawings.items()
    }
    assert heights[10] > heights[2] + 70
    assert all(f">set-{n}<" in drawings[10] for n in range(10))


def test_names_are_drawn_as_they_are():
    """No report where a folder has dollars in its name; a line without a name."""
    drawing = rounds_chart({"_own": [(0.5, 0.4, 0.6)] * 2}, "m", "start: round 1 of a$b_{$")
    assert "start: round 1 of a$b_{$<" in drawing
    assert "_own<" in drawing


def test_names_of_types_stand_above_the_drawing():
    """Names across the intervals of a small dev set, which fill the whole drawing."""
    row = {"gib_per_million_pages": 1.0, "ndcg_at_5": 0.5, "ci": [0.0, 1.0]}
    types = ("float32", "float16", "int8", "binary")
    drawing = ladder_chart([{**row, "dtype": name, "is_on_frontier": True} for name in types])
    (frame,) = re.findall(r'id="patch_2">\s*<path d="([^"]+)"', drawing)
    top = min(float(y) for y in re.findall(r"[ML] [\d.]+ ([\d.]+)", frame))
    lowest = [float(re.findall(rf' y="([\d.]+)"[^>]*>{name}<', drawing)[0]) for name in types]
    assert max(lowest) < top


@pytest.mark.parametrize("paper", _PAPERS)
def test_lines_can_be_seen(paper):
    """A yellow line on white: less than the contrast of 3 of WCAG 2 for drawings."""
    assert min(_contrast(colour, paper) for colour in COLOURS) >= 3
    assert _contrast("#E69F00", "#ffffff") < 3


def _contrast(one: str, other: str) -> float:
    low, high = sorted(map(_luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    values = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
