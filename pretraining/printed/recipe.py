"""The sizes and the schedule of `reader-print`: everything that decides the result."""

from dataclasses import dataclass
from itertools import pairwise

from pretraining.recipe import ModelSizes, Weights


@dataclass(frozen=True)
class Recipe(ModelSizes, Weights):
    """One way to pretrain; the same recipe and files on the same machine give the same weights.

    The learning rate is flat until `flat_fraction` of a cycle, then falls in a line to 0, so that
    there is a finished model at the end of each cycle. The next one goes on from it, and loses
    nothing by that (WSD-S: Wen et al., 2024). Reading comes before matching: the losses of
    retrieval begin at step `retrieval_from`.

    Attributes:
        cycles: the step at the end of each.
        print_sizes: the least and the largest size of a page's font in a tile, in pixels.
        shares: how often a page is drawn from each kind of source.
    """

    cycles: tuple[int, ...] = (9_000, 17_000, 75_000)
    batch: int = 8
    seed: int = 0
    vocabulary: int = 8_192
    vision_width: int = 192
    vision_layers: int = 6
    vision_heads: int = 6
    vision_feed_forward: int = 512
    text_layers: int = 2
    print_sizes: tuple[float, float] = (11.5, 19.0)
    shares: tuple[tuple[str, float], ...] = (
        ("tex", 0.35),
        ("manual", 0.15),
        ("web", 0.30),
        ("office", 0.20),
    )
    muon_learning_rate: float = 0.013
    adam_learning_rate: float = 1.3e-3
    attention_learning_rate: float = 3e-4  # queries and keys of the vision tower, by Adam
    warmup_steps: int = 100
    flat_fraction: float = 0.6
    naming_scale: float = 20.0
    spans_per_tile: int = 4
    retrieval_from: int = 9_000
    retrieval_weight: float = 0.2
    token_weight: float = 0.2

    @property
    def steps(self) -> int:
        """All of them."""
        return self.cycles[-1]

    def rate(self, step: int) -> float:
        """The share of the peak learning rate in `step`, from 0."""
        start, end = next((start, end) for start, end in pairwise((0, *self.cycles)) if step < end)
        if step - start < self.warmup_steps:
            return (step - start + 1) / self.warmup_steps
        flat = start + self.flat_fraction * (end - start)
        return 1.0 - max(0.0, (step - flat) / (end - flat))
