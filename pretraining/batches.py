"""Batches by number: the same number gives the same tiles, in any process."""

import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from pretraining.objectives import Labels
from pretraining.text import Source
from pretraining.tiles import Tile, TilePrinter

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]  # ImageNet's, as InternVL's processor has
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
_MAX_QUERY_TOKENS = 24


@dataclass(frozen=True)
class TileBatch(Labels):
    """Normalised tiles with their labels."""

    pixels_N3TT: Tensor


class Batches(Dataset):
    """`batches[number]` is a `TileBatch`.

    Args:
        source: the text to print.
        tokenizer: of the model.
        query_prefix: token ids before every query.
        size: tiles in a batch.
        seed: of the tiles.
        spans_per_tile: queries about each tile.
    """

    def __init__(
        self,
        source: Source,
        tokenizer: PreTrainedTokenizerFast,
        query_prefix: list[int],
        size: int,
        seed: str,
        spans_per_tile: int,
    ) -> None:
        self._source = source
        self._tokenizer = tokenizer
        self._query_prefix = query_prefix
        self._size = size
        self._seed = seed
        self._spans_per_tile = spans_per_tile
        self._printer: TilePrinter | None = None  # created in the process that prints

    def __getitem__(self, number: int) -> TileBatch:
        """Print a batch."""
        self._printer = self._printer or TilePrinter(self._tokenizer)
        draw = random.Random(f"{self._seed} {number}")
        tiles = [self._printer.print(self._source, draw) for _ in range(self._size)]
        spans = [
            (index, _span(tile, draw))
            for index, tile in enumerate(tiles)
            for _ in range(self._spans_per_tile)
        ]
        texts = [text for _, text in spans]
        query_BQ, mask_BQ = query_ids(self._tokenizer, self._query_prefix, texts)
        return TileBatch(
            pixels_N3TT=normalised(np.stack([tile.pixels for tile in tiles])),
            characters_NGS=torch.from_numpy(np.stack([t.characters for t in tiles])).long(),
            tokens_NCK=torch.from_numpy(np.stack([tile.tokens for tile in tiles])).long(),
            query_BQ=query_BQ,
            query_mask_BQ=mask_BQ,
            tile_B=torch.tensor([index for index, _ in spans]),
        )


def query_ids(
    tokenizer: PreTrainedTokenizerFast, prefix: list[int], texts: list[str]
) -> tuple[Tensor, Tensor]:
    """Texts as queries: token ids [B, Q], padded behind the last, and where a text has them."""
    encoded = tokenizer(texts, add_special_tokens=False, split_special_tokens=True)
    rows = [ids[:_MAX_QUERY_TOKENS] for ids in encoded["input_ids"]]
    before = len(prefix)
    query_BQ = torch.zeros(len(rows), before + max(map(len, rows)), dtype=torch.long)
    mask_BQ = torch.zeros_like(query_BQ, dtype=torch.bool)
    query_BQ[:, :before] = torch.tensor(prefix)
    for row, ids in enumerate(rows):
        query_BQ[row, before : before + len(ids)] = torch.tensor(ids)
        mask_BQ[row, before : before + len(ids)] = True
    return query_BQ, mask_BQ


def normalised(tiles_NTT: np.ndarray | Tensor) -> Tensor:
    """Grey tiles, as the image processor gives them to the model: [N, 3, TILE, TILE] float32."""
    grey = torch.as_tensor(tiles_NTT).float()[:, None] / 255
    return (grey - MEAN) / STD


def _span(tile: Tile, draw: random.Random) -> str:
    """A few words, from one row or from several; half of the spans are lower-cased."""
    rows = tile.rows or (("blank",),)
    wanted = draw.randint(2, 6)
    if draw.random() < 0.5:
        row = draw.choice(rows)
        start = draw.randrange(len(row))
        words = row[start : start + wanted]
    else:
        words = [draw.choice(draw.choice(rows)) for _ in range(wanted)]
    text = " ".join(words)
    return text.lower() if draw.random() < 0.5 else text
