"""The sizes and the schedule: everything that decides the result."""

from dataclasses import dataclass

TILE = 224  # pixels
PATCH = 14
PATCH_GRID = TILE // PATCH  # patches along a side
CELL = 2 * PATCH  # the pixel shuffle puts 2 x 2 patches into one image token
CELL_GRID = TILE // CELL
TOKENS_PER_TILE = CELL_GRID**2


@dataclass(frozen=True)
class ModelSizes:
    """Of an InternVL."""

    vision_width: int = 128
    vision_layers: int = 4
    vision_heads: int = 4
    vision_feed_forward: int = 256
    text_width: int = 192
    text_layers: int = 3
    text_feed_forward: int = 480


@dataclass(frozen=True)
class Weights:
    """How much each loss counts, and the scale of the scores that are told apart."""

    character_weight: float = 0.5
    cell_weight: float = 1.0
    text_weight: float = 0.3
    retrieval_weight: float = 0.3
    token_weight: float = 0.3
    retrieval_scale: float = 20.0


@dataclass(frozen=True)
class Recipe(ModelSizes, Weights):
    """One way to pretrain; the same recipe on the same machine gives the same weights.

    Learning rates follow a trapezoid: warm-up, flat until `flat_fraction` of the steps, then
    linear down to `last_fraction` of the peak.
    """

    steps: int = 6_000
    batch: int = 16
    seed: int = 0
    vocabulary: int = 4_096
    muon_learning_rate: float = 0.02
    adam_learning_rate: float = 2e-3
    warmup_steps: int = 50
    flat_fraction: float = 0.2
    last_fraction: float = 0.02
    spans_per_tile: int = 4
    retrieval_from: float = 0.3  # of the steps: matching is pointless before letters are read

    def rate(self, step: int) -> float:
        """The share of the peak learning rate in `step`, from 0."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        flat = self.flat_fraction * self.steps
        down = max(0.0, (step - flat) / (self.steps - flat))
        return 1.0 - down * (1.0 - self.last_fraction)
