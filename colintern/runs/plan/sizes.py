"""Tokens, bytes and operations of a dataset's pages and queries, from its census."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from colintern.features.plan import of_sizes
from colintern.model.backbone import BackboneIdentity
from colintern.model.processor import Processor
from colintern.runs.plan.census import Census

_TOKENISED = 10_000  # query texts whose tokens are counted; of more, a seeded sample
_EMBEDDING_BYTES = 4  # float32


@dataclass(frozen=True)
class Amounts:
    """Items of a dataset in all.

    Attributes:
        items: pages or queries.
        tokens: of all of them.
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


def store_bytes(num_tokens: int, width: int, dtype: str) -> int:
    """Bytes of the tensors of stored tokens; the files' headers come on top (about 1 %).

    Args:
        num_tokens: how many are stored.
        width: numbers per token.
        dtype: `bfloat16`, `float16`, or `int8` with a float32 scale per token.
    """
    per_token = width + 4 if dtype == "int8" else 2 * width
    return num_tokens * per_token


def embedding_bytes(num_tokens: int, dim: int) -> int:
    """Bytes of token embeddings in memory, float32."""
    return num_tokens * dim * _EMBEDDING_BYTES


def sizes_of(
    name: str,
    census: Census,
    backbone: BackboneIdentity,
    processor: Processor,
    *,
    seed: int,
    num_pages: int | None = None,
) -> DatasetSizes:
    """What a dataset takes.

    Args:
        name: of the dataset in the run.
        census: what was counted of it.
        backbone: how pages are cut, and what they cost.
        processor: how queries are cut.
        seed: of the sample of long lists of queries.
        num_pages: pretend that there are so many pages, like those that there are.
    """
    tokens = of_sizes(backbone.num_page_tokens, census.widths, census.heights)
    scale = (num_pages or census.num_pages) / max(1, len(tokens))
    stored = tokens[census.is_first]
    tile_pixels = backbone.tiles.tile_pixels / backbone.tiles.tokens_per_tile
    return DatasetSizes(
        name=name,
        pages=_page_amounts(tokens, backbone, scale),
        stored_pages=_page_amounts(stored, backbone, scale),
        tile_bytes=round(3 * tile_pixels * int(stored.sum(dtype=np.int64)) * scale),
        queries=_query_amounts(census.texts, census.num_queries, backbone, processor, seed),
        stored_queries=_query_amounts(census.texts, len(census.texts), backbone, processor, seed),
        num_bad_pages=census.num_bad_pages,
        num_judged_queries=census.num_judged_queries,
        num_pairs=census.num_pairs,
        num_looked_at=census.num_looked_at,
        is_sampled=census.is_sampled or num_pages is not None,
    )


def _page_amounts(tokens: np.ndarray, backbone: BackboneIdentity, scale: float) -> Amounts:
    """Of pages with so many tokens each, times `scale`."""
    distinct, counts = np.unique(tokens, return_counts=True)
    of_each = zip(distinct.tolist(), counts.tolist(), strict=True)
    flops = sum(backbone.flops.page(number) * count for number, count in of_each)
    return Amounts(
        items=round(len(tokens) * scale),
        tokens=round(int(tokens.sum(dtype=np.int64)) * scale),
        most_tokens=int(tokens.max(initial=0)),
        flops=round(flops * scale),
    )


def _query_amounts(
    texts: pa.Array, num_queries: int, backbone: BackboneIdentity, processor: Processor, seed: int
) -> Amounts:
    """Of queries that have these texts."""
    chosen: Sequence[int] = range(len(texts))
    if len(texts) > _TOKENISED:
        chosen = sorted(random.Random(seed).sample(chosen, _TOKENISED))
    lengths = [
        len(processor.query_tokens(text)) for text in texts.take(pa.array(chosen)).to_pylist()
    ]
    scale = num_queries / max(1, len(lengths))
    return Amounts(
        items=num_queries,
        tokens=round(sum(lengths) * scale),
        most_tokens=max(lengths, default=0),
        flops=round(sum(map(backbone.flops.query, lengths)) * scale),
    )
