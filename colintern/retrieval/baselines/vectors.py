"""The vectors of a model on storage: files of some pages or queries each, searched one by one.

A file is safetensors: `vectors` float32 [T, E], one item after the other; `lengths` int64, vectors
of each item; `ordinals` int64, which item of the view each is. An item may be in no file: a page
without anything that the model reads.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from safetensors.torch import load, save
from torch import Tensor

from colintern import storage
from colintern.scoring.packed import PackedPages
from colintern.scoring.queries import EmbeddedQueries
from colintern.search.flat import best_by_tokens, best_by_vectors
from colintern.streams import packed

_FILES_AT_ONCE = 32  # of single vectors, each of a few hundred kilobytes


@dataclass(frozen=True)
class Vectors:
    """The vectors of some pages or queries.

    Attributes:
        ordinals: int64, which item of the view each is.
        lengths: int64, vectors of each item, one at least.
        token_TE: float32, one item after the other.
    """

    ordinals: Tensor
    lengths: Tensor
    token_TE: Tensor

    def __len__(self) -> int:
        return len(self.lengths)


def joined(ordinals: Sequence[int], found: Sequence[Tensor]) -> Vectors:
    """The vectors of some items, without those that have none.

    Args:
        ordinals: of the items.
        found: token_PE of each.
    """
    kept = [(ordinal, one) for ordinal, one in zip(ordinals, found, strict=True) if len(one)]
    return Vectors(
        torch.tensor([ordinal for ordinal, _ in kept], dtype=torch.int64),
        torch.tensor([len(one) for _, one in kept], dtype=torch.int64),
        torch.cat([one for _, one in kept]) if kept else torch.empty(0, 0),
    )


def save_vectors(path: str, vectors: Vectors) -> None:
    """Write a file, whole or not at all."""
    tensors = {
        "vectors": vectors.token_TE.contiguous(),
        "lengths": vectors.lengths,
        "ordinals": vectors.ordinals,
    }
    storage.write_bytes(path, save(tensors))


def load_vectors(path: str) -> Vectors:
    """Read a file."""
    tensors = load(storage.read_bytes(path))
    return Vectors(tensors["ordinals"], tensors["lengths"], tensors["vectors"])


def best_pages(
    page_files: Sequence[str], query_files: Sequence[str], depth: int, is_multi_vector: bool
) -> Iterator[Tensor]:
    """The best pages of every query by exact MaxSim; few files of pages are in memory at a time.

    Args:
        page_files: in any order.
        query_files: in the order of the queries, of which none is missing.
        depth: how many pages.
        is_multi_vector: false where all items have one vector.

    Yields:
        key_BK of `search.order` for some queries after the others.
    """
    queries = list(map(load_vectors, query_files))
    token_TE = torch.cat([part.token_TE for part in queries])
    if not is_multi_vector:
        return best_by_vectors(_single(page_files), token_TE, depth)
    lengths = tuple(torch.cat([part.lengths for part in queries]).tolist())
    return best_by_tokens(_packed(page_files), EmbeddedQueries(token_TE, lengths), depth)


def _packed(page_files: Sequence[str]) -> Iterator[tuple[Tensor, PackedPages]]:
    """The files that hold a page, each on its own, for MaxSim."""
    for part in map(load_vectors, page_files):
        if len(part):
            yield part.ordinals, PackedPages.pack(part.token_TE, part.lengths.tolist())


def _single(page_files: Sequence[str]) -> Iterator[tuple[Tensor, Tensor]]:
    """Ordinals and page_DE of several files at a time, where each page has one vector."""
    for files in packed(page_files, lambda _: 1, _FILES_AT_ONCE):
        parts = [part for part in map(load_vectors, files) if len(part)]
        if parts:
            vectors = [part.token_TE for part in parts]
            yield torch.cat([part.ordinals for part in parts]), torch.cat(vectors)
