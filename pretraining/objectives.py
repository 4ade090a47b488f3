"""The losses, which are used together. Labels are known, as the tiles are printed by us.

Shape letters as in `tiles`, and B queries, Q query tokens, F cells that hold tokens, V vocabulary.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pretraining.model import Readers
from pretraining.recipe import Recipe
from pretraining.tiles import NO_TOKEN, NOTHING

_EMPTY_SLOT_WEIGHT = 0.1  # most slots are empty, which is learned soon


@dataclass(frozen=True)
class TileBatch:
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
    readers: Readers, batch: TileBatch, prompt: list[int], recipe: Recipe, *, retrieval: bool
) -> tuple[Tensor, dict[str, float]]:
    """The weighted sum, and each part of it."""
    logits_NGSL, state_NCH = readers.see(batch.pixels_N3TT, prompt)
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
    if retrieval:
        best_BNQ = similarities(readers, text_BQH, state_NCH)
        score_BN = match(best_BNQ, batch.query_mask_BQ)
        parts["retrieval"] = functional.cross_entropy(
            recipe.retrieval_scale * score_BN, batch.tile_B
        )
        parts["tokens"] = token_loss(recipe.retrieval_scale * best_BNQ, batch)
        total = (
            total
            + recipe.retrieval_weight * parts["retrieval"]
            + recipe.token_weight * parts["tokens"]
        )
    return total, {name: float(part.detach()) for name, part in parts.items()}


def character_loss(logits_NGSL: Tensor, characters_NGS: Tensor) -> Tensor:
    """Cross-entropy of the character slots; empty slots have a small weight."""
    each = functional.cross_entropy(
        logits_NGSL.flatten(0, 2), characters_NGS.flatten(), reduction="none"
    )
    weight = torch.where(characters_NGS.flatten() == NOTHING, _EMPTY_SLOT_WEIGHT, 1.0)
    return (each * weight).sum() / weight.sum()


def cell_loss(logits_FV: Tensor, tokens_FK: Tensor) -> Tensor:
    """Cross-entropy with all tokens of a cell as equal targets; every cell has at least one."""
    is_token_FK = tokens_FK != NO_TOKEN
    logs_FK = functional.log_softmax(logits_FV, dim=-1).gather(-1, tokens_FK.clamp_min(0))
    return -((logs_FK * is_token_FK).sum(-1) / is_token_FK.sum(-1)).mean()


def token_loss(logits_BNQ: Tensor, batch: TileBatch) -> Tensor:
    """Each query token alone has to find its tile, among the tiles without the same token."""
    num_tiles, num_tokens = len(batch.tokens_NCK), int(batch.query_BQ.max()) + 1
    # The last column is for cells without a token, and for tokens that no query has.
    column_NP = batch.tokens_NCK.flatten(1).where(
        (batch.tokens_NCK.flatten(1) >= 0) & (batch.tokens_NCK.flatten(1) < num_tokens), num_tokens
    )
    holds_NV = torch.zeros(num_tiles, num_tokens + 1, dtype=torch.bool)
    holds_NV.scatter_(1, column_NP, True)
    is_held_BNQ = holds_NV[:, batch.query_BQ].transpose(0, 1)
    is_own_BN1 = functional.one_hot(batch.tile_B, num_tiles).bool()[..., None]
    others_BNQ = logits_BNQ.masked_fill(is_held_BNQ & ~is_own_BN1, -torch.inf)
    target_BQ = batch.tile_B[:, None].expand_as(batch.query_BQ)
    each_BQ = functional.cross_entropy(others_BNQ, target_BQ, reduction="none")
    return each_BQ[batch.query_mask_BQ].mean()


def similarities(readers: Readers, text_BQH: Tensor, state_NCH: Tensor) -> Tensor:
    """The best cosine of each query token with the cells of each tile: [B, N, Q]."""
    query_BQE = functional.normalize(readers.query_match(text_BQH), dim=-1)
    page_NCE = functional.normalize(readers.page_match(state_NCH), dim=-1)
    return torch.einsum("bqe,nce->bnqc", query_BQE, page_NCE).amax(-1)


def match(best_BNQ: Tensor, mask_BQ: Tensor) -> Tensor:
    """MaxSim of queries and tiles, the mean over the query's tokens: [B, N]."""
    mask_B1Q = mask_BQ[:, None, :]
    return (best_BNQ * mask_B1Q).sum(-1) / mask_B1Q.sum(-1)


@torch.no_grad()
def reading(readers: Readers, batch: TileBatch, prompt: list[int]) -> dict[str, float]:
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
    score_BN = match(similarities(readers, text_BQH, state_NCH), batch.query_mask_BQ)
    return {
        "characters": float(right.float().mean()),
        "cells": float(found_NCK[is_token_NCK].float().mean()),
        "recall_at_1": float((score_BN.argmax(-1) == batch.tile_B).float().mean()),
    }
