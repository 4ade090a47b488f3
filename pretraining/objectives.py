"""The losses, which are used together, and how well held-out tiles are read.

Labels are known: tiles are printed by us, or a PDF says where its characters stand. Shape letters
as in `tiles`, and B queries, Q query tokens, T tokens of all queries, F cells that hold tokens,
V vocabulary, H the width of a state, E the width of what is matched.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pretraining.classes import NO_TOKEN, NOTHING
from pretraining.recipe import Weights

_EMPTY_SLOT_WEIGHT = 0.1  # most slots are empty, which is learned soon


@dataclass(frozen=True)
class Labels:
    """What stands on tiles, and spans of it as queries.

    Attributes:
        characters_NGS: classes of the character slots.
        tokens_NCK: tokens of the cells, `NO_TOKEN` behind the last.
        query_BQ: token ids, padded behind the last.
        query_mask_BQ: where a query has a token of its text.
        tile_B: the tile that each query is a span of.
    """

    characters_NGS: Tensor
    tokens_NCK: Tensor
    query_BQ: Tensor
    query_mask_BQ: Tensor
    tile_B: Tensor


@dataclass(frozen=True)
class Seen:
    """What a model makes of tiles and queries.

    Attributes:
        logits_NGSL: of the character slots.
        state_NCH: of the LLM at the cells.
        text_BQH: of the LLM at the tokens of the queries.
        name: from states to logits over the vocabulary.
        page_NCE: what is matched of the cells, of any length.
        query_BQE: what is matched of the queries, of any length.
        scored_BQ: which tokens of a query count in its score.
    """

    logits_NGSL: Tensor
    state_NCH: Tensor
    text_BQH: Tensor
    name: Callable[[Tensor], Tensor]
    page_NCE: Tensor
    query_BQE: Tensor
    scored_BQ: Tensor

    def best(self) -> Tensor:
        """The best cosine of each query token with the cells of each tile: [B, N, Q]."""
        query_BQE = functional.normalize(self.query_BQE, dim=-1)
        page_NCE = functional.normalize(self.page_NCE, dim=-1)
        return torch.einsum("bqe,nce->bnqc", query_BQE, page_NCE).amax(-1)

    def scores(self, best_BNQ: Tensor) -> Tensor:
        """MaxSim of queries and tiles, the mean over the tokens that count: [B, N]."""
        is_scored_B1Q = self.scored_BQ[:, None, :]
        return (best_BNQ * is_scored_B1Q).sum(-1) / is_scored_B1Q.sum(-1)


def losses(
    seen: Seen, labels: Labels, weights: Weights, *, retrieval: bool
) -> tuple[Tensor, dict[str, float]]:
    """The weighted sum, and each part of it.

    More tiles to tell a span's own from, kept from earlier steps (cross-batch memory), did harm or
    helped less; perhaps as old states can be told from new ones.
    """
    is_full_NC = (labels.tokens_NCK != NO_TOKEN).any(-1)  # the other cells have no token
    is_text_BQ = labels.query_mask_BQ
    named_TV, text_T = seen.name(seen.text_BQH[is_text_BQ]), labels.query_BQ[is_text_BQ]
    characters = character_loss(seen.logits_NGSL, labels.characters_NGS)
    cells = cell_loss(seen.name(seen.state_NCH[is_full_NC]), labels.tokens_NCK[is_full_NC])
    text = functional.cross_entropy(named_TV, text_T)
    parts = {"characters": characters, "cells": cells, "text": text}
    total = (
        weights.character_weight * characters
        + weights.cell_weight * cells
        + weights.text_weight * text
    )
    if retrieval:
        best_BNQ = seen.best()
        found = functional.cross_entropy(
            weights.retrieval_scale * seen.scores(best_BNQ), labels.tile_B
        )
        tokens = token_loss(weights.retrieval_scale * best_BNQ, labels)
        parts |= {"retrieval": found, "tokens": tokens}
        total = total + weights.retrieval_weight * found + weights.token_weight * tokens
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


def token_loss(logits_BNQ: Tensor, labels: Labels) -> Tensor:
    """Each query token alone has to find its tile, among the tiles without the same token."""
    num_tiles, num_tokens = len(labels.tokens_NCK), int(labels.query_BQ.max()) + 1
    # The last column is for cells without a token, and for tokens that no query has.
    column_NP = labels.tokens_NCK.flatten(1).where(
        (labels.tokens_NCK.flatten(1) >= 0) & (labels.tokens_NCK.flatten(1) < num_tokens),
        num_tokens,
    )
    holds_NV = torch.zeros(num_tiles, num_tokens + 1, dtype=torch.bool)
    holds_NV.scatter_(1, column_NP, True)
    is_held_BNQ = holds_NV[:, labels.query_BQ].transpose(0, 1)
    is_own_BN1 = functional.one_hot(labels.tile_B, num_tiles).bool()[..., None]
    others_BNQ = logits_BNQ.masked_fill(is_held_BNQ & ~is_own_BN1, -torch.inf)
    target_BQ = labels.tile_B[:, None].expand_as(labels.query_BQ)
    each_BQ = functional.cross_entropy(others_BNQ, target_BQ, reduction="none")
    return each_BQ[labels.query_mask_BQ].mean()


def reading(seen: Seen, labels: Labels) -> dict[str, float]:
    """How well held-out tiles are read: shares between 0 and 1.

    `characters`: of the printed characters, those named right in their slot; `cells`: of the
    tokens, those among a cell's likeliest, as many as it holds; `recall_at_1`: of the spans, those
    whose tile scores best.
    """
    is_printed = labels.characters_NGS != NOTHING
    right = seen.logits_NGSL.argmax(-1)[is_printed] == labels.characters_NGS[is_printed]
    is_token_NCK = labels.tokens_NCK != NO_TOKEN
    order_NCK = seen.name(seen.state_NCH).topk(labels.tokens_NCK.shape[-1], dim=-1).indices
    is_likely_NCK = torch.arange(order_NCK.shape[-1]) < is_token_NCK.sum(-1, keepdim=True)
    named_NCK = torch.where(is_likely_NCK, order_NCK, NO_TOKEN)
    found_NCK = (labels.tokens_NCK[..., :, None] == named_NCK[..., None, :]).any(-1)
    is_found_B = seen.scores(seen.best()).argmax(-1) == labels.tile_B
    return {
        "characters": float(right.float().mean()),
        "cells": float(found_NCK[is_token_NCK].float().mean()),
        "recall_at_1": float(is_found_B.float().mean()),
    }
