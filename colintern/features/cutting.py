"""Which items go into which shard: decided from the corpus, never from what is missing.

A shard's name holds a hash of its items, so a retry writes the same name with the same bytes, and
what a killed run left behind is either exactly a planned shard or never looked at.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from colintern import storage
from colintern.streams import packed


@dataclass(frozen=True)
class Item:
    """A distinct page or query text, by the hash of its bytes, and its expected size."""

    sha256: str
    num_bytes: int


@dataclass(frozen=True)
class PlannedShard:
    """A file of the store and the hashes of its items, in the order of the plan."""

    file: str
    items: tuple[str, ...]

    @property
    def is_exact(self) -> bool:
        """Whether it was planned with just these items in this order, as its name tells."""
        return self.file.endswith(_ending(self.items))


def plan_shards(
    items: Iterable[Item], shard_bytes: int, first_number: int = 0
) -> list[PlannedShard]:
    """Cut `items`, in their order, into shards of about `shard_bytes`, at least one item each.

    Items that come twice (two pages with the same image) are planned once.
    """
    once = {item.sha256: item for item in items}.values()
    shards = packed(once, lambda item: item.num_bytes, shard_bytes)
    hashes_of_shards = ([item.sha256 for item in shard] for shard in shards)
    return [
        PlannedShard(_file_name(first_number + number, hashes), tuple(hashes))
        for number, hashes in enumerate(hashes_of_shards)
    ]


def _file_name(number: int, hashes: Sequence[str]) -> str:
    return f"shard-{number:05d}{_ending(hashes)}"


def _ending(hashes: Sequence[str]) -> str:
    digest = storage.sha256_of_bytes("".join(hashes).encode())
    return f"-{digest[:8]}.safetensors"
