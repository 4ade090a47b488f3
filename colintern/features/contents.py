"""What the shards of a store hold, for each page or query of its corpus. Shapes: N of these."""

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from colintern import storage
from colintern.data import digests
from colintern.data.compute import pc
from colintern.features.damage import damaged
from colintern.features.encoding import WrittenShard
from colintern.features.shard_file import ShardFile, ShardItems
from colintern.streams import packed

Rows = slice | np.ndarray  # a choice of rows
_NONE = -1
_LEAST_ROWS = 16_384  # items of shards that are looked up at one time, and
_MOST_PASSES = 32  # so often at most: every pass goes over the whole corpus


@dataclass(frozen=True)
class Contents:
    """What has features, in columns of N rows.

    Attributes:
        num_tokens: int32 [N], -1 without features.
        shard: int32 [N], the index of each item's file in `files`, -1 without features.
        files: file names, sorted.
        pixels: the hash of what each page shows, uint8 [N, 32], zeros where no shard tells it.
        reasons: why items have no features, by the hash of their bytes.
    """

    num_tokens: np.ndarray
    shard: np.ndarray
    files: list[str]
    pixels: np.ndarray
    reasons: Mapping[bytes, str]

    @property
    def num_with_features(self) -> int:
        """How many have features."""
        return int(np.count_nonzero(self.has_features))

    def with_features(self) -> Callable[[int, int], Rows]:
        """Of those that have features, the rows from a first one up to a last one.

        Where all have, that is a slice, by which nothing is copied.
        """
        if self.has_features.all():
            return slice
        rows = np.flatnonzero(self.has_features).astype(np.int32)
        return lambda start, end: rows[start:end]

    @property
    def has_features(self) -> np.ndarray:
        """Boolean [N]."""
        return self.num_tokens != _NONE


def read_contents(
    folder: str,
    files: list[str],
    sizes: Mapping[str, int],
    written: MutableMapping[str, WrittenShard],
    hashes: np.ndarray,
    pixels: np.ndarray,
) -> Contents:
    """Put together what shards hold, those that came later last.

    Args:
        folder: a store's `pages` or `queries`.
        files: the names of its shards, sorted.
        sizes: of the shards as they are now, by path.
        written: what is known of shards because they were just written, by path; it is taken out
            as it is read. The other shards are opened.
        hashes: of the corpus's pages or queries, uint8 [N, 32].
        pixels: what is known already of what pages show, uint8 [N, 32], zeros where nothing is.

    Raises:
        DamagedShardError: a shard is gone, or not whole.
    """
    num_tokens, shard = np.full(len(hashes), _NONE, np.int32), np.full(len(hashes), _NONE, np.int32)
    reasons: dict[bytes, str] = {}
    is_own = False  # whether `pixels` is a copy
    wanted = digests.column_of(hashes)
    for first, items in _in_chunks(_items_of_shards(folder, files, sizes, written), len(hashes)):
        for found in items:
            reasons |= found.bad
        numbers = np.arange(first, first + len(items), dtype=np.int32)
        shard_of = np.repeat(numbers, [len(found.hashes) for found in items])
        held = np.concatenate([found.hashes for found in items])
        item, row = _last_equal(wanted, held)
        num_tokens[item] = np.concatenate([found.num_tokens for found in items])[row]
        shard[item] = shard_of[row]
        # The last shard of an item may be of an earlier version, which noted no pixels.
        all_noted = np.concatenate([found.pixels for found in items])
        has_pixels = np.flatnonzero(digests.is_known(all_noted))
        index, row = _last_equal(digests.column_of(hashes[item]), held[has_pixels])
        told, noted = item[index], all_noted[has_pixels[row]]
        if not np.array_equal(pixels[told], noted):
            pixels, is_own = pixels if is_own else pixels.copy(), True
            pixels[told] = noted
    return Contents(num_tokens, shard, files, pixels, reasons)


def _last_equal(wanted: pa.FixedSizeBinaryArray, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the `wanted` hashes are `held`, and of each of those the last such row of `held`."""
    index = pc.index_in(wanted, digests.column_of(held[::-1]))  # the first of equal ones
    is_held = pc.is_valid(index).to_numpy(zero_copy_only=False)
    return np.flatnonzero(is_held), len(held) - 1 - index.drop_null().to_numpy()


def _items_of_shards(
    folder: str,
    files: list[str],
    sizes: Mapping[str, int],
    written: MutableMapping[str, WrittenShard],
) -> Iterator[ShardItems]:
    for file in files:
        path = storage.join(folder, file)
        shard = written.pop(path, None)
        if shard is None:
            yield ShardFile(path, sizes[path]).items()
            continue
        if shard.num_bytes != sizes[path]:
            damaged(path, f"has {sizes[path]:,} bytes instead of {shard.num_bytes:,}")
        yield shard.items


def _in_chunks(
    shards: Iterable[ShardItems], num_items: int
) -> Iterator[tuple[int, list[ShardItems]]]:
    """The shards, several together, and the number of the first of them."""
    limit, number = max(_LEAST_ROWS, num_items // _MOST_PASSES), 0
    for chunk in packed(shards, lambda items: len(items.hashes), limit):
        yield number, chunk
        number += len(chunk)
