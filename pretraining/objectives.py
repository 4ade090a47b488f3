"""The losses, all at once: the printer knows what stands where.

Shape letters as in `tiles`, and B queries, Q query tokens, F cells that hold tokens, V vocabulary.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pretraining.model import Readers
from pretraining.recipe import Recipe
from pretraining.tiles import NO_TOKEN, NOTHING

_EMPTY_SLOT_WEIGHT = 0.1  # most slots are empty; that they are is learned soon


@dataclass(frozen=True)
class Batch:
    """Tiles with their labels, and spans of their words as queries.

    Attributes:
        pixels_N3TT: normalised tiles.
        characters_NGS: classes of the character slots.
        tokens_NCK: tokens of the cells, `NO_TOKEN` behind the last.
        query_BQ: token ids, padded behind the last.
        query_mask_BQ: where a query has a token of its text.
        tile_B: the tile that each query is a span of.
    """

    pixels_N3TT: Tensor
    characters_NGS: Tensor
    tokens_NCK: Tensor
    query_BQ: Tensor
    query_mask_BQ: Tensor
    tile_B: Tensor


def losses(
    readers: Readers, batch: Batch, prompt: list[int], recipe: Recipe, *, retrieval: bool
) -> tuple[Tensor, dict[str, float]]:
    """The weighted sum, and each part of it."""
    logits_NGSL, state_NCH = readers.see(batch.pixels_N3TT, prompt)
    text_BQH = readers.read(batch.query_BQ)
    is_full_NC = (batch.tokens_NCK != NO_TOKEN).any(-1)  # the others have nothing to name
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
    if retrieval:
        score_BN = match(readers, text_BQH, batch.query_mask_BQ, state_NCH)
        parts["retrieval"] = functional.cross_entropy(
            recipe.retrieval_scale * score_BN, batch.tile_B
        )
        total = total + recipe.retrieval_weight * parts["retrieval"]
    return total, {name: float(part.detach()) for name, part in parts.items()}


def character_loss(logits_NGSL: Tensor, characters_NGS: Tensor) -> Tensor:
    """Cross-entropy of the character slots; empty ones count for little."""
    each = functional.cross_entropy(
        logits_NGSL.flatten(0, 2), characters_NGS.flatten(), reduction="none"
    )
    weight = torch.where(characters_NGS.flatten() == NOTHING, _EMPTY_SLOT_WEIGHT, 1.0)
    return (each * weight).sum() / weight.sum()


def cell_loss(logits_FV: Tensor, tokens_FK: Tensor) -> Tensor:
    """Cross-entropy against all tokens of a cell alike; every cell holds at least one."""
    is_token_FK = tokens_FK != NO_TOKEN
    logs_FK = functional.log_softmax(logits_FV, dim=-1).gather(-1, tokens_FK.clamp_min(0))
    return -((logs_FK * is_token_FK).sum(-1) / is_token_FK.sum(-1)).mean()


def match(readers: Readers, text_BQH: Tensor, mask_BQ: Tensor, state_NCH: Tensor) -> Tensor:
    """MaxSim of queries and tiles, the mean over the query's tokens: [B, N]."""
    query_BQE = functional.normalize(readers.query_match(text_BQH), dim=-1)
    page_NCE = functional.normalize(readers.page_match(state_NCH), dim=-1)
    best_BNQ = torch.einsum("bqe,nce->bnqc", query_BQE, page_NCE).amax(-1)
    mask_B1Q = mask_BQ[:, None, :]
    return (best_BNQ * mask_B1Q).sum(-1) / mask_B1Q.sum(-1)


@torch.no_grad()
def reading(readers: Readers, batch: Batch, prompt: list[int]) -> dict[str, float]:
    """How well held-out tiles are read: shares between 0 and 1.

    `characters`: of the printed characters, those named right in their slot; `cells`: of the
    tokens, those among a cell's likeliest, as many as it holds; `recall_at_1`: of the spans, those
    whose tile scores best.
    """
    logits_NGSL, state_NCH = readers.see(batch.pixels_N3TT, prompt)
    is_printed = batch.characters_NGS != NOTHING
    right = logits_NGSL.argmax(-1)[is_printed] == batch.characters_NGS[is_printed]
    is_token_NCK = batch.tokens_NCK != NO_TOKEN
    order_NCK = readers.name(state_NCH).topk(batch.tokens_NCK.shape[-1], dim=-1).indices
    is_likely_NCK = torch.arange(order_NCK.shape[-1]) < is_token_NCK.sum(-1, keepdim=True)
    named_NCK = torch.where(is_likely_NCK, order_NCK, NO_TOKEN)
    found_NCK = (batch.tokens_NCK[..., :, None] == named_NCK[..., None, :]).any(-1)
    text_BQH = readers.read(batch.query_BQ)
    score_BN = match(readers, text_BQH, batch.query_mask_BQ, state_NCH)
    return {
        "characters": float(right.float().mean()),
        "cells": float(found_NCK[is_token_NCK].float().mean()),
        "recall_at_1": float((score_BN.argmax(-1) == batch.tile_B).float().mean()),
    }
