"""The schedule of `reader-print`."""

import pytest

from pretraining.printed.recipe import Recipe

RECIPE = Recipe(cycles=(100, 300), warmup_steps=10, flat_fraction=0.5)


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.1), (9, 1.0), (50, 1.0), (75, 0.5), (99, 0.02), (100, 0.1), (200, 1.0), (250, 0.5)],
)
def test_the_rate_falls_at_the_end_of_each_cycle_and_is_back_in_the_next(step, rate):
    """A model that is taken at the full rate reads worse than the same steps can give."""
    assert RECIPE.rate(step) == pytest.approx(rate)


def test_all_steps_have_a_rate():
    """A last step that fails after hours."""
    assert RECIPE.steps == 300
    assert 0 < RECIPE.rate(299) < 0.02
