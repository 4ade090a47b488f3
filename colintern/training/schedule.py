"""The learning rate of a step: a linear warm-up, then decay."""

import math

from colintern.config.schema import TrainingConfig


def learning_rate(step: int, num_steps: int, training: TrainingConfig) -> float:
    """The rate of `step` (from 1) of a round of `num_steps`; the last step's is above 0."""
    warmup = round(training.warmup_fraction * num_steps)
    if step <= warmup:
        return training.learning_rate * step / warmup
    done = (step - warmup - 1) / (num_steps - warmup)
    factor = {
        "constant": 1.0,
        "linear": 1.0 - done,
        "cosine": 0.5 * (1.0 + math.cos(math.pi * done)),
    }[training.schedule]
    return training.learning_rate * factor
