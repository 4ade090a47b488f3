"""Reading a store that is not on this machine: many items and shards at one time.

What this machine's cache has comes from there; what it lacks is fetched, and kept there. An object
store answers each request late and many at a time well, so nothing here waits for one after the
other.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from colintern import storage
from colintern.errors import PathError
from colintern.features.cache import Key, NodeCache
from colintern.features.codec import StoredTokens
from colintern.features.shard_file import ShardFile, ShardPart, header_length, read_header
from colintern.storage import FileState
from colintern.streams import packed, read_ahead

# Most headers are shorter. More of them come with one request, at the price of bytes for nothing
# that S3 sends in a millisecond or two.
_FIRST_BYTES = 2**17
_CRC_BYTES = 4
_BATCHES_AHEAD = 1  # fetched while one is checked and copied: `storage.BYTES_AT_ONCE` each


def read_headers(shards: Sequence[FileState], cache: NodeCache | None) -> list[bytes]:
    """The headers of several shards of one store, in two rounds of requests at most.

    Raises:
        DamagedShardError: a shard has none.
    """
    found: dict[str, bytes] = {}
    if cache is not None:
        kept = ((state.path, _kept(state, cache)) for state in shards)
        found = {path: header for path, header in kept if header is not None}
    missing = [state for state in shards if state.path not in found]
    try:
        found |= _fetched(missing)
    except PathError:  # one by one, to know which
        found |= {state.path: read_header(state.path) for state in missing}
    if cache is not None:
        for state in missing:
            cache.put(_header_key(state), _framed(found[state.path]))
    return [found[state.path] for state in shards]


def read_items(
    items: Sequence[tuple[FileState, ShardFile, str]], cache: NodeCache | None
) -> Iterator[tuple[int, StoredTokens]]:
    """The features of several items of one store, read ahead of their consumer.

    It needs about four times `storage.BYTES_AT_ONCE` of memory, whatever the number of items.

    Args:
        items: the state of each one's shard as it was listed, the opened shard, and the item's
            hash.
        cache: of this machine.

    Yields:
        The number of an item in `items`, by where they stand in the store, and its tokens as they
        are stored, on the CPU.

    Raises:
        DamagedShardError: they are not those that were written.
    """
    wanted = [
        _Wanted(number, state, shard, sha256, shard.parts(sha256))
        for number, (state, shard, sha256) in enumerate(items)
    ]
    wanted.sort(key=lambda one: one.parts[0].piece)
    batches = packed(wanted, lambda one: one.num_bytes, storage.BYTES_AT_ONCE)
    for batch in read_ahead((_read(batch, cache) for batch in batches), _BATCHES_AHEAD):
        for one, raw in batch:
            yield one.number, one.shard.made(one.sha256, raw)


@dataclass(frozen=True)
class _Wanted:
    """An item, its number, and where it stands."""

    number: int
    state: FileState
    shard: ShardFile
    sha256: str
    parts: tuple[ShardPart, ...]

    @property
    def num_bytes(self) -> int:
        """How long its parts are together."""
        return sum(part.piece.num_bytes for part in self.parts)


def _read(
    batch: Sequence[_Wanted], cache: NodeCache | None
) -> list[tuple[_Wanted, list[np.ndarray]]]:
    """The checked bytes of some items' parts."""
    keys = {part: _part_key(one.state, part) for one in batch for part in one.parts}
    found: dict[ShardPart, np.ndarray] = {}
    if cache is not None:
        kept = ((part, _cached(key, part, cache)) for part, key in keys.items())
        found = {part: data for part, data in kept if data is not None}
    missing = [part for part in keys if part not in found]
    fetched = storage.read_pieces([part.piece for part in missing])
    for part, raw in zip(missing, fetched, strict=True):
        found[part] = np.frombuffer(bytearray(raw), np.uint8)  # torch takes no read-only arrays
        part.check(found[part])
        key = keys[part]
        if cache is not None and key is not None:
            cache.put(key, raw)
    return [(one, [found[part] for part in one.parts]) for one in batch]


def _part_key(state: FileState, part: ShardPart) -> Key | None:
    """Of its entry in the cache; None where no checksum would tell that an entry is damaged."""
    piece, crc32 = part.piece, part.crc32
    if crc32 is None:
        return None
    return Key(piece.path, state.version, f"{piece.start}-{piece.end}-{crc32:08x}")


def _cached(key: Key | None, part: ShardPart, cache: NodeCache) -> np.ndarray | None:
    """Bytes from the cache; None where it has none, or damaged ones."""
    if key is None:
        return None
    data = cache.get(key)
    if data is None or zlib.crc32(data.data) == part.crc32:
        return data
    cache.drop(key)
    return None


def _fetched(shards: Sequence[FileState]) -> dict[str, bytes]:
    """The headers of shards by their paths, from the store."""
    pieces = [storage.Piece(state.path, 0, min(_FIRST_BYTES, state.size)) for state in shards]
    firsts = dict(zip((piece.path for piece in pieces), storage.read_pieces(pieces), strict=True))
    ends = {path: 8 + header_length(path, first) for path, first in firsts.items()}
    longer = [path for path, first in firsts.items() if ends[path] > len(first) >= _FIRST_BYTES]
    rests = storage.read_pieces([storage.Piece(path, _FIRST_BYTES, ends[path]) for path in longer])
    firsts |= {path: firsts[path] + rest for path, rest in zip(longer, rests, strict=True)}
    return {path: first[8 : ends[path]] for path, first in firsts.items()}


def _kept(state: FileState, cache: NodeCache) -> bytes | None:
    """The header of a shard from the cache; None where it has none, or a damaged one."""
    key = _header_key(state)
    data = cache.get(key)
    if data is None:
        return None
    header = data[_CRC_BYTES:].tobytes()
    if _framed(header) == data.tobytes():
        return header
    cache.drop(key)
    return None


def _header_key(state: FileState) -> Key:
    return Key(state.path, state.version, "header")


def _framed(header: bytes) -> bytes:
    """A header behind its checksum: the shard itself has none of it."""
    return zlib.crc32(header).to_bytes(_CRC_BYTES, "little") + header
