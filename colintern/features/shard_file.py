"""One shard of features: a safetensors file with a tensor [T, K] per distinct item.

An int8 item `{hash}` has its scales beside it, `{hash}.scale`, float32 [T] (see `codec`).

Safetensors because numpy, Arrow and Parquet have no bfloat16, and because its header says at which
bytes an item stands: a local file is mapped into memory, a remote one is read in ranges. A checksum
of each item stands there too, and is compared whenever the item is read.
Format: https://huggingface.co/docs/safetensors (8 bytes header length, JSON header, raw tensors).
"""

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from safetensors.torch import save

from colintern import storage
from colintern.data import digests
from colintern.errors import DamagedShardError, PathError
from colintern.features.codec import StoredTokens
from colintern.features.damage import damaged

_VALUE_TYPES = {"BF16": torch.bfloat16, "F16": torch.float16, "I8": torch.int8}
_SCALE = ".scale"
_SCALE_TYPES = {"F32": torch.float32}
# The one entry of the file's metadata, as JSON: safetensors writes several in a random order.
_NOTES_KEY = "colintern"
_MAX_HEADER_BYTES = 100_000_000  # the format's own limit
_NO_CRC32 = -1  # what no bytes have


@dataclass(frozen=True)
class ShardItems:
    """What a shard holds, in columns of N items with features.

    Attributes:
        hashes: of the items' bytes, uint8 [N, 32].
        num_tokens: int32 [N].
        pixels: the hashes of what pages show, uint8 [N, 32], zeros where it is not known.
        bad: why the other items have no features, by the hash of their bytes.
    """

    hashes: np.ndarray
    num_tokens: np.ndarray
    pixels: np.ndarray
    bad: Mapping[bytes, str]


def write_shard(
    path: str,
    features: Mapping[str, StoredTokens],
    bad: Mapping[str, str],
    compute_dtype: str,
    pixels: Mapping[str, str] | None = None,
) -> int:
    """Write one shard, atomically and with the same bytes for the same content.

    Args:
        path: the file.
        features: item hash to its tokens.
        bad: item hash to the reason why it has no features.
        compute_dtype: what the backbone computed in, which says more than what is stored.
        pixels: of pages, item hash to the hash of what the page shows (`images.pixels`).

    Returns:
        The size of the file.
    """
    tensors = {name: tokens.values_TK.contiguous() for name, tokens in features.items()}
    for name, tokens in features.items():
        if tokens.scale_T is not None:
            tensors[name + _SCALE] = tokens.scale_T.contiguous()
    checksums = {
        name: zlib.crc32(tensor.view(torch.uint8).numpy().data) for name, tensor in tensors.items()
    }
    notes = {
        "bad_items": dict(sorted(bad.items())),
        "compute_dtype": compute_dtype,
        "crc32": dict(sorted(checksums.items())),
    }
    if pixels:
        notes["pixels_sha256"] = dict(sorted(pixels.items()))
    data = save(tensors, {_NOTES_KEY: json.dumps(notes)})
    storage.write_bytes(path, data)
    return len(data)


def items_of(
    num_tokens: Mapping[str, int], bad: Mapping[str, str], pixels: Mapping[str, str]
) -> ShardItems:
    """What a shard holds, in columns: as `write_shard` is told it.

    Raises:
        ValueError: an item is not named by a hash.
    """
    hashes, valid = digests.parse(pa.array([*num_tokens, *bad], pa.string()))
    if not valid.all():
        raise ValueError(f"item {[*num_tokens, *bad][int(np.argmin(valid))]!r} is no SHA-256")
    shown, known = digests.parse(pa.array([pixels.get(name) for name in num_tokens], pa.string()))
    shown[~known] = 0
    good = len(num_tokens)
    reasons = zip(hashes[good:], bad.values(), strict=True)
    return ShardItems(
        hashes[:good],
        np.fromiter(num_tokens.values(), np.int32, good),
        shown,
        {sha256.tobytes(): reason for sha256, reason in reasons},
    )


@dataclass(frozen=True)
class _Stored:
    """Where a tensor of the file stands."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    end: int


class ShardFile:
    """A shard opened for reading: its header now, an item's bytes when they are asked for.

    Args:
        path: the file.
        num_bytes: its size, where that is known.
        header: its header (`read_header`), where that has been read.

    Raises:
        DamagedShardError: it is gone, or not whole.
    """

    def __init__(
        self, path: str, num_bytes: int | None = None, header: bytes | None = None
    ) -> None:
        self.path = path
        header = read_header(path) if header is None else header
        try:
            entries = json.loads(header)
            notes = json.loads(entries.pop("__metadata__", {}).get(_NOTES_KEY, "{}"))
            self._stored, self._scales = _located_all(entries, 8 + len(header))
        except (ValueError, KeyError, TypeError, AttributeError):  # whatever it has become
            damaged(path, "its header is not readable")
        self.bad: dict[str, str] = notes.get("bad_items", {})
        # Of an older shard the first and the last are None, and there are no pixels' hashes.
        self.compute_dtype: str | None = notes.get("compute_dtype")
        self.pixels: dict[str, str] = notes.get("pixels_sha256", {})
        self._checksums: dict[str, int] | None = notes.get("crc32")
        located = [*self._stored.values(), *self._scales.values()]
        end = max((stored.end for stored in located), default=8 + len(header))
        if num_bytes not in (None, end):
            damaged(path, f"has {num_bytes:,} bytes instead of {end:,}")

    def num_tokens(self) -> dict[str, int]:
        """Item hash to number of tokens, for every item with features."""
        return {name: stored.shape[0] for name, stored in self._stored.items()}

    def items(self) -> ShardItems:
        """What the shard holds, in columns.

        Raises:
            DamagedShardError: an item in it is not named by a hash.
        """
        try:
            return items_of(self.num_tokens(), self.bad, self.pixels)
        except ValueError as error:
            damaged(self.path, str(error))

    def nothing(self) -> StoredTokens:
        """No tokens, in the stored type and width: what no items have."""
        stored = next(iter(self._stored.values()))
        values_TK = torch.empty(0, stored.shape[1], dtype=stored.dtype)
        return StoredTokens(values_TK, torch.empty(0) if self._scales else None)

    def read(self, hashes: Sequence[str]) -> list[StoredTokens]:
        """Some items as they are stored, on the CPU; read only.

        Raises:
            DamagedShardError: they are not those that were written.
        """
        items = [self.parts(sha256) for sha256 in hashes]
        pieces = [part.piece for parts in items for part in parts]
        if self._map is None:
            found = (np.frombuffer(bytearray(b), np.uint8) for b in storage.read_pieces(pieces))
        else:
            found = (self._map[piece.start : piece.end] for piece in pieces)
        raw = [[next(found) for _ in parts] for parts in items]
        for part, data in zip(chain.from_iterable(items), chain.from_iterable(raw), strict=True):
            part.check(data)
        return list(map(self.made, hashes, raw))

    def parts(self, sha256: str) -> "tuple[ShardPart, ...]":
        """Where the bytes of an item stand: its values, and the scales of an int8 item.

        Raises:
            DamagedShardError: the shard has no such item.
        """
        if sha256 not in self._stored:
            damaged(self.path, "lacks an item that its manifest names")
        return tuple(self._part(stored) for stored in self._tensors(sha256))

    def made(self, sha256: str, raw: Sequence[np.ndarray]) -> StoredTokens:
        """The tokens of an item, from the bytes of its `parts`, which they share."""
        tensors = [
            torch.from_numpy(data).view(stored.dtype).view(stored.shape)
            for data, stored in zip(raw, self._tensors(sha256), strict=True)
        ]
        return StoredTokens(*tensors)

    def _tensors(self, sha256: str) -> "list[_Stored]":
        scales = [self._scales[sha256]] if self._scales else []
        return [self._stored[sha256], *scales]

    def _part(self, stored: "_Stored") -> "ShardPart":
        known = self._checksums
        crc32 = None if known is None else known.get(stored.name, _NO_CRC32)
        return ShardPart(storage.Piece(self.path, stored.start, stored.end), stored.name, crc32)

    def check(self) -> None:
        """Make sure that all items are as they were written.

        Raises:
            DamagedShardError: one is not.
        """
        for name in self._stored:
            self.read([name])

    @cached_property
    def _map(self) -> np.ndarray | None:
        """The whole file in memory on demand; None when it is not on this machine.

        Mapped copy-on-write ("c") because torch takes no read-only arrays.
        """
        if not storage.is_local(self.path):
            return None
        with storage.named_errors(self.path):
            return np.memmap(storage.local_path(self.path), np.uint8, mode="c")


@dataclass(frozen=True)
class ShardPart:
    """The bytes of a tensor in a shard, which are checked by whoever has read them.

    Attributes:
        piece: where they stand.
        name: of the tensor.
        crc32: what they were when they were written; None in a shard of an earlier version.
    """

    piece: storage.Piece
    name: str
    crc32: int | None

    def check(self, data: np.ndarray) -> None:
        """Make sure that these are the bytes that were written.

        Raises:
            DamagedShardError: they are not.
        """
        if len(data) != self.piece.num_bytes:
            damaged(self.piece.path, f"item {self.name} is cut off")
        if self.crc32 is not None and self.crc32 != zlib.crc32(data.data):
            what = f"item {self.name} has another checksum than when it was written"
            damaged(self.piece.path, what)


def header_length(path: str, first: bytes) -> int:
    """How long the header of a shard is, by the shard's first bytes; it starts after 8 of them.

    Raises:
        DamagedShardError: no header is that long.
    """
    length = int.from_bytes(first[:8], "little")
    if length > _MAX_HEADER_BYTES:
        damaged(path, "its header is not readable")
    return length


def read_header(path: str) -> bytes:
    """The header of a shard.

    Raises:
        DamagedShardError: there is none.
    """
    try:
        length = header_length(path, storage.read_bytes(path, 0, 8))
        return storage.read_bytes(path, 8, 8 + length)
    except PathError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        raise DamagedShardError(
            f"{path}: is missing; run the same command again, to make it again"
        ) from error


def _located_all(
    entries: Mapping[str, Mapping[str, Any]], data_start: int
) -> tuple[dict[str, _Stored], dict[str, _Stored]]:
    """Where the values of each item stand, and of int8 items the scales; by the item's hash.

    Raises:
        ValueError: they do not belong together.
        KeyError: they are of a type that is not stored.
    """
    values, scales = {}, {}
    for name, entry in entries.items():
        if name.endswith(_SCALE):
            item = name.removesuffix(_SCALE)
            scales[item] = _located(name, entry, _SCALE_TYPES, data_start)
        else:
            values[name] = _located(name, entry, _VALUE_TYPES, data_start)
    with_scale = {name for name, stored in values.items() if stored.dtype == torch.int8}
    if scales.keys() != with_scale or (with_scale and len(with_scale) < len(values)):
        raise ValueError("int8 tokens and scales do not belong together")
    if any(scales[name].shape != values[name].shape[:1] for name in with_scale):
        raise ValueError("an item has not a scale for each token")
    return values, scales


def _located(
    name: str, entry: Mapping[str, Any], types: Mapping[str, torch.dtype], data_start: int
) -> _Stored:
    """Where a tensor stands, by its entry in the header.

    Raises:
        ValueError: it cannot stand there.
    """
    dtype, shape = types[entry["dtype"]], tuple(entry["shape"])
    start, end = (data_start + offset for offset in entry["data_offsets"])
    if end - start != dtype.itemsize * math.prod(shape):
        raise ValueError(f"{shape} in {end - start} bytes")
    return _Stored(name, dtype, shape, start, end)
