"""Batches by number: the same number gives the same tiles and queries, in any process."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from pretraining.batches import query_ids
from pretraining.objectives import Labels
from pretraining.printed.corpus import Pages
from pretraining.printed.crops import Crop, crops_of
from pretraining.tokens import WordTokens

_TILES_A_PAGE = 3  # a picture is decoded once for so many tiles
_POOL = 4  # batches whose tiles are shuffled together


@dataclass(frozen=True)
class TileBatch(Labels):
    """Tiles with their labels.

    Attributes:
        grey_NTT: tiles, uint8.
        prefix_mask_BQ: where a query has a token of the prefix, which counts in a page's score too.
    """

    grey_NTT: Tensor
    prefix_mask_BQ: Tensor


class Batches(Dataset):
    """`batches[number]` is a `TileBatch`.

    Args:
        pages: by source.
        shares: how often a page is drawn from each source.
        tokenizer: of the model.
        query_prefix: token ids before every query.
        size: tiles in a batch.
        sizes: of text, as in `crops_of`.
        seed: of the tiles.
        spans_per_tile: queries about each tile.
    """

    def __init__(
        self,
        pages: Sequence[Pages],
        shares: Sequence[float],
        tokenizer: PreTrainedTokenizerFast,
        query_prefix: list[int],
        *,
        size: int,
        sizes: tuple[float, float],
        seed: str,
        spans_per_tile: int,
    ) -> None:
        self._pages, self._shares = pages, shares
        self._tokenizer, self._query_prefix = tokenizer, query_prefix
        self._size, self._sizes, self._seed = size, sizes, seed
        self._spans_per_tile = spans_per_tile
        self._tokens_of = WordTokens(tokenizer)
        self._latest: tuple[int, list[Crop]] = (-1, [])  # the pool that was cut last

    def __getitem__(self, number: int) -> TileBatch:
        """Cut a batch."""
        draw = random.Random(f"{self._seed} {number}")
        pool_number, part = divmod(number, _POOL)
        if not self._latest[1] or self._latest[0] != pool_number:
            pool = self._pool(random.Random(f"{self._seed} pool {pool_number}"))
            self._latest = (pool_number, pool)
        pool = self._latest[1]
        return self.collate(pool[part * self._size : (part + 1) * self._size], draw)

    def _pool(self, draw: random.Random) -> list[Crop]:
        crops: list[Crop] = []
        while len(crops) < _POOL * self._size:
            (source,) = draw.choices(self._pages, self._shares)
            page = source[draw.randrange(len(source))]
            crops += crops_of(page, self._tokens_of, draw, _TILES_A_PAGE, self._sizes)
        draw.shuffle(crops)
        return crops

    def collate(self, crops: Sequence[Crop], draw: random.Random) -> TileBatch:
        """Tiles with queries about them."""
        spans = [
            (index, _span(crop, draw))
            for index, crop in enumerate(crops)
            for _ in range(self._spans_per_tile)
            if crop.words
        ] or [(0, "blank")]
        texts = [text for _, text in spans]
        query_BQ, mask_BQ = query_ids(self._tokenizer, self._query_prefix, texts)
        return TileBatch(
            grey_NTT=torch.from_numpy(np.stack([crop.pixels for crop in crops])),
            characters_NGS=torch.from_numpy(np.stack([crop.characters for crop in crops])).long(),
            tokens_NCK=torch.from_numpy(np.stack([crop.tokens for crop in crops])).long(),
            query_BQ=query_BQ,
            query_mask_BQ=mask_BQ,
            prefix_mask_BQ=torch.arange(mask_BQ.shape[1]).expand_as(mask_BQ)
            < len(self._query_prefix),
            tile_B=torch.tensor([index for index, _ in spans]),
        )


def _span(crop: Crop, draw: random.Random) -> str:
    """A few words next to each other, or from anywhere in the tile."""
    wanted = draw.randint(2, 6)
    if draw.random() < 0.6:
        start = draw.randrange(len(crop.words))
        return " ".join(crop.words[start : start + wanted])
    return " ".join(draw.choice(crop.words) for _ in range(wanted))
