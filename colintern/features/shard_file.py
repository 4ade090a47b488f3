"""One shard of features: a safetensors file with a tensor [tokens, H] per distinct item.

Safetensors because numpy, Arrow and Parquet have no bfloat16, and because its header says at which
bytes an item stands: a local file is mapped into memory, a remote one is read in ranges.
Format: https://huggingface.co/docs/safetensors (8 bytes header length, JSON header, raw tensors).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from colintern import storage

_TORCH_TYPES = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}
# The one entry of the file's metadata, as JSON: safetensors writes several in a random order.
_NOTES_KEY = "colintern"


def write_shard(
    path: str, features: Mapping[str, Tensor], bad: Mapping[str, str], compute_dtype: str
) -> None:
    """Write one shard, atomically and with the same bytes for the same content.

    Args:
        path: the file.
        features: item hash to [tokens, H].
        bad: item hash to the reason why it has no features.
        compute_dtype: what the backbone computed in, which says more than what is stored.
    """
    contiguous = {name: tensor.contiguous() for name, tensor in features.items()}
    notes = {"bad_items": dict(sorted(bad.items())), "compute_dtype": compute_dtype}
    storage.write_bytes(path, save(contiguous, {_NOTES_KEY: json.dumps(notes)}))


@dataclass(frozen=True)
class _Place:
    dtype: torch.dtype
    shape: tuple[int, int]
    start: int
    end: int


class ShardFile:
    """A shard opened for reading: its header now, an item's bytes when they are asked for."""

    def __init__(self, path: str) -> None:
        self.path = path
        header_bytes = int.from_bytes(storage.read_bytes(path, 0, 8), "little")
        header = json.loads(storage.read_bytes(path, 8, 8 + header_bytes))
        notes = json.loads(header.pop("__metadata__", {}).get(_NOTES_KEY, "{}"))
        self.bad: dict[str, str] = notes.get("bad_items", {})
        self.compute_dtype: str | None = notes.get("compute_dtype")  # None: an older shard
        data_start = 8 + header_bytes
        self._places = {
            name: _Place(
                _TORCH_TYPES[entry["dtype"]],
                tuple(entry["shape"]),
                data_start + entry["data_offsets"][0],
                data_start + entry["data_offsets"][1],
            )
            for name, entry in header.items()
        }

    def num_tokens(self) -> dict[str, int]:
        """Item hash to number of tokens, for every item with features."""
        return {name: place.shape[0] for name, place in self._places.items()}

    def nothing(self) -> Tensor:
        """Features of no tokens, [0, H] in the stored dtype: what no items have."""
        place = next(iter(self._places.values()))
        return torch.empty(0, place.shape[1], dtype=place.dtype)

    def read(self, hashes: Sequence[str]) -> list[Tensor]:
        """The features [tokens, H] of some items, in the stored dtype, on the CPU; read only."""
        places = [self._places[sha256] for sha256 in hashes]
        if self._map is None:
            pieces = storage.read_ranges(self.path, [(place.start, place.end) for place in places])
            raw = [np.frombuffer(bytearray(piece), np.uint8) for piece in pieces]
        else:
            raw = [self._map[place.start : place.end] for place in places]
        return [
            torch.from_numpy(data).view(place.dtype).view(place.shape)
            for data, place in zip(raw, places, strict=True)
        ]

    @cached_property
    def _map(self) -> np.ndarray | None:
        """The whole file in memory on demand; None when it is not on this machine.

        Mapped copy-on-write ("c") because torch takes no read-only arrays.
        """
        if not storage.is_local(self.path):
            return None
        return np.memmap(storage.local_path(self.path), np.uint8, mode="c")
