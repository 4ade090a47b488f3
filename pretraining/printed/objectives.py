"""The losses, which are used together, and how well held-out tiles are read.

Shape letters as in `labels`, and N tiles, B queries, Q query tokens, M tiles in memory, H the width
of a state, V vocabulary, F cells that hold tokens.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from pretraining.batches import normalised
from pretraining.objectives import cell_loss, character_loss, match
from pretraining.printed.batches import TileBatch
from pretraining.printed.labels import NO_TOKEN, NOTHING
from pretraining.printed.model import Readers
from pretraining.printed.recipe import Recipe

_MEASURED_TILES = 16  # that are read at once


@dataclass(frozen=True)
class Prompt:
    """Token ids around the image tokens of a page."""

    before: tuple[int, ...]
    after: tuple[int, ...]


@dataclass
class Memory:
    """Tiles of earlier steps: cross-batch memory (Wang et al., 2020).

    A batch of eight tiles has few in which a token might be found by mistake; a corpus has
    thousands. States change little in so few steps.

    Attributes:
        size: of the tiles that are kept.
        state_MCH: their cells, L2-normalised.
        holds_MV: which tokens stand in them.
    """

    size: int
    num_tokens: int
    width: int
    state_MCH: Tensor = field(init=False)
    holds_MV: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.state_MCH = torch.zeros(0, 64, self.width)
        self.holds_MV = torch.zeros(0, self.num_tokens, dtype=torch.bool)

    def add(self, state_NCH: Tensor, holds_NV: Tensor) -> None:
        """Remember tiles, and forget the oldest."""
        self.state_MCH = torch.cat([self.state_MCH, state_NCH.detach()])[-self.size :]
        self.holds_MV = torch.cat([self.holds_MV, holds_NV])[-self.size :]


def losses(
    readers: Readers,
    batch: TileBatch,
    prompt: Prompt,
    recipe: Recipe,
    memory: Memory | None,
    group: int,
) -> tuple[Tensor, dict[str, float]]:
    """The weighted sum, and each part of it.

    Args:
        readers: the model.
        batch: the tiles.
        prompt: around the image tokens.
        recipe: the weights.
        memory: of earlier tiles, which this call adds to; None while nothing is matched.
        group: tiles that the LLM reads as one page.
    """
    logits_NGSL, state_NCH = readers.see(
        normalised(batch.grey_NTT), prompt.before, prompt.after, group
    )
    text_BQH = readers.read(batch.query_BQ)
    is_full_NC = (batch.tokens_NCK != NO_TOKEN).any(-1)  # the other cells have no token
    parts = {
        "characters": character_loss(logits_NGSL, batch.characters_NGS),
        "cells": cell_loss(readers.name(state_NCH[is_full_NC]), batch.tokens_NCK[is_full_NC]),
        "text": functional.cross_entropy(
            readers.name(text_BQH[batch.query_mask_BQ]), batch.query_BQ[batch.query_mask_BQ]
        ),
    }
    total = (
        recipe.character_weight * parts["characters"]
        + recipe.cell_weight * parts["cells"]
        + recipe.text_weight * parts["text"]
    )
    if memory is not None:
        matched = _matching(batch, text_BQH, state_NCH, memory, recipe.retrieval_scale)
        parts |= matched
        total = (
            total
            + recipe.retrieval_weight * matched["retrieval"]
            + recipe.token_weight * matched["tokens"]
        )
    return total, {name: float(part.detach()) for name, part in parts.items()}


def _matching(
    batch: TileBatch, text_BQH: Tensor, state_NCH: Tensor, memory: Memory, scale: float
) -> dict[str, Tensor]:
    """Each span has to find its tile, and each of its tokens alone.

    The states are compared as they are, without a head: whatever keeps angles can be a head then.
    """
    query_BQH = functional.normalize(text_BQH, dim=-1)
    page_NCH = functional.normalize(state_NCH, dim=-1)
    holds_NV = tokens_held(batch.tokens_NCK, memory.num_tokens)
    all_NCH = torch.cat([page_NCH, memory.state_MCH])
    best_BNQ = torch.einsum("bqh,nch->bnqc", query_BQH, all_NCH).amax(-1)
    score_BN = match(best_BNQ, batch.query_mask_BQ | batch.prefix_mask_BQ)

    # A token is not asked to tell its tile from others that hold it too.
    holds_BNQ = torch.cat([holds_NV, memory.holds_MV])[:, batch.query_BQ].transpose(0, 1)
    is_own_BN1 = functional.one_hot(batch.tile_B, len(all_NCH)).bool()[..., None]
    others_BNQ = (scale * best_BNQ).masked_fill(holds_BNQ & ~is_own_BN1, -torch.inf)
    target_BQ = batch.tile_B[:, None].expand_as(batch.query_BQ)
    each_BQ = functional.cross_entropy(others_BNQ, target_BQ, reduction="none")

    memory.add(page_NCH, holds_NV)
    return {
        "retrieval": functional.cross_entropy(scale * score_BN, batch.tile_B),
        "tokens": each_BQ[batch.query_mask_BQ].mean(),
    }


def tokens_held(tokens_NCK: Tensor, num_tokens: int) -> Tensor:
    """Which tokens stand anywhere in a tile: [N, V] bool."""
    tokens_NP = tokens_NCK.flatten(1)
    holds_NV = torch.zeros(len(tokens_NP), num_tokens + 1, dtype=torch.bool)
    holds_NV.scatter_(1, tokens_NP.where(tokens_NP != NO_TOKEN, num_tokens), True)
    return holds_NV[:, :num_tokens]


@torch.no_grad()
def reading(readers: Readers, batch: TileBatch, prompt: Prompt) -> dict[str, float]:
    """How well held-out tiles are read: shares between 0 and 1.

    `characters`: of the printed characters, those named right in their slot; `cells`: of the
    tokens, those among a cell's likeliest, as many as it holds; `recall_at_1`: of the spans, those
    whose tile scores best.
    """
    right, states = [], []
    for start in range(0, len(batch.grey_NTT), _MEASURED_TILES):
        part = slice(start, start + _MEASURED_TILES)
        pixels = normalised(batch.grey_NTT[part])
        logits_NGSL, state_NCH = readers.see(pixels, prompt.before, prompt.after, 1)
        is_printed = batch.characters_NGS[part] != NOTHING
        right.append((logits_NGSL.argmax(-1) == batch.characters_NGS[part])[is_printed])
        states.append(state_NCH)
    state_NCH = torch.cat(states)
    is_token_NCK = batch.tokens_NCK != NO_TOKEN
    order_NCK = readers.name(state_NCH).topk(batch.tokens_NCK.shape[-1], dim=-1).indices
    is_likely_NCK = torch.arange(order_NCK.shape[-1]) < is_token_NCK.sum(-1, keepdim=True)
    named_NCK = torch.where(is_likely_NCK, order_NCK, NO_TOKEN)
    found_NCK = (batch.tokens_NCK[..., :, None] == named_NCK[..., None, :]).any(-1)
    query_BQH = functional.normalize(readers.read(batch.query_BQ), dim=-1)
    page_NCH = functional.normalize(state_NCH, dim=-1)
    best_BNQ = torch.einsum("bqh,nch->bnqc", query_BQH, page_NCH).amax(-1)
    score_BN = match(best_BNQ, batch.query_mask_BQ | batch.prefix_mask_BQ)
    return {
        "characters": float(torch.cat(right).float().mean()),
        "cells": float(found_NCK[is_token_NCK].float().mean()),
        "recall_at_1": float((score_BN.argmax(-1) == batch.tile_B).float().mean()),
    }
