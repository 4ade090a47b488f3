"""Tokens, bytes and operations of a dataset's pages and queries, from its census."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from colintern.features.codec import Codec
from colintern.features.plan import of_sizes
from colintern.model.backbone import BackboneIdentity
from colintern.model.processor import Processor
from colintern.runs.plan.census import Census

_EMBEDDING_BYTES = 4  # float32


@dataclass(frozen=True)
class Amounts:
    """Items of a dataset in all.

    Attributes:
        items: pages or queries.
        tokens: of all of them, as they are stored.
        most_tokens: of one.
        flops: of encoding all of them.
    """

    items: int
    tokens: int
    most_tokens: int
    flops: int

    @property
    def mean_tokens(self) -> float:
        """Tokens of one, on average."""
        return self.tokens / max(1, self.items)


@dataclass(frozen=True)
class DatasetSizes:
    """What a dataset takes.

    Attributes:
        name: of the dataset in the run.
        pages: those that can be encoded: all that are embedded and searched.
        stored_pages: the distinct images among them: all that are encoded and stored.
        encoded_tokens: of the stored pages before they are merged or clustered.
        tile_bytes: pixels of the tiles of the stored pages, three bytes each.
        queries: those that can be asked.
        stored_queries: the distinct texts among them.
        num_bad_pages: that cannot be encoded.
        num_judged_queries: queries that are asked in evaluation.
        num_pairs: of a query and a relevant page: the training examples.
        num_looked_at: rows of the corpus that were read.
        is_sampled: whether the corpus has more, so that all figures of pages are estimates.
    """

    name: str
    pages: Amounts
    stored_pages: Amounts
    encoded_tokens: int
    tile_bytes: int
    queries: Amounts
    stored_queries: Amounts
    num_bad_pages: int
    num_judged_queries: int
    num_pairs: int
    num_looked_at: int
    is_sampled: bool

    @property
    def stored_tokens(self) -> int:
        """Of distinct pages and queries."""
        return self.stored_pages.tokens + self.stored_queries.tokens

    @property
    def encode_flops(self) -> int:
        """Of encoding the dataset."""
        return self.stored_pages.flops + self.stored_queries.flops


def embedding_bytes(num_tokens: int, dim: int) -> int:
    """Bytes of token embeddings in memory, float32."""
    return num_tokens * dim * _EMBEDDING_BYTES


def sizes_of(
    name: str,
    census: Census,
    backbone: BackboneIdentity,
    codec: Codec,
    processor: Processor,
    *,
    seed: int,
    max_queries: int,
    num_pages: int | None = None,
) -> DatasetSizes:
    """What a dataset takes.

    Args:
        name: of the dataset in the run.
        census: what was counted of it.
        backbone: how pages are cut, and what they cost.
        codec: how many of their tokens are stored.
        processor: how queries are cut.
        seed: of the sample of queries.
        max_queries: of more texts a sample is cut.
        num_pages: pretend that there are so many pages, like those that there are.
    """
    sides = census.widths, census.heights
    encoded = of_sizes(backbone.num_page_tokens, *sides)
    stored = of_sizes(lambda *size: codec.num_tokens(*backbone.tile_grid(*size)), *sides)
    scale = (num_pages or census.num_pages) / max(1, len(encoded))
    first = census.is_first
    num_tiles = int(encoded[first].sum(dtype=np.int64)) // backbone.tiles.tokens_per_tile
    lengths = _query_lengths(census.texts, processor, seed, max_queries)
    return DatasetSizes(
        name=name,
        pages=_page_amounts(encoded, stored, backbone, scale),
        stored_pages=_page_amounts(encoded[first], stored[first], backbone, scale),
        encoded_tokens=round(int(encoded[first].sum(dtype=np.int64)) * scale),
        tile_bytes=round(3 * backbone.tiles.tile_pixels * num_tiles * scale),
        queries=_query_amounts(lengths, census.num_queries, backbone),
        stored_queries=_query_amounts(lengths, len(census.texts), backbone),
        num_bad_pages=census.num_bad_pages,
        num_judged_queries=census.num_judged_queries,
        num_pairs=census.num_pairs,
        num_looked_at=census.num_looked_at,
        is_sampled=census.is_sampled or num_pages is not None,
    )


def _page_amounts(
    encoded: np.ndarray, stored: np.ndarray, backbone: BackboneIdentity, scale: float
) -> Amounts:
    """Of pages with so many tokens each, encoded and stored, times `scale`."""
    distinct, counts = np.unique(encoded, return_counts=True)
    of_each = zip(distinct.tolist(), counts.tolist(), strict=True)
    flops = sum(backbone.flops.page(number) * count for number, count in of_each)
    return Amounts(
        items=round(len(stored) * scale),
        tokens=round(int(stored.sum(dtype=np.int64)) * scale),
        most_tokens=int(stored.max(initial=0)),
        flops=round(flops * scale),
    )


def _query_lengths(texts: pa.Array, processor: Processor, seed: int, max_queries: int) -> list[int]:
    """Tokens of these texts, or of a sample of them."""
    chosen: Sequence[int] = range(len(texts))
    if len(texts) > max_queries:
        chosen = sorted(random.Random(seed).sample(chosen, max_queries))
    return [len(processor.query_tokens(text)) for text in texts.take(pa.array(chosen)).to_pylist()]


def _query_amounts(lengths: Sequence[int], num_queries: int, backbone: BackboneIdentity) -> Amounts:
    """Of queries whose texts have so many tokens each."""
    scale = num_queries / max(1, len(lengths))
    return Amounts(
        items=num_queries,
        tokens=round(sum(lengths) * scale),
        most_tokens=max(lengths, default=0),
        flops=round(sum(map(backbone.flops.query, lengths)) * scale),
    )
