"""One process of a group that trains together."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Worker:
    """Rank (from 0) in a group of `world_size` processes, and this process's torch device."""

    rank: int = 0
    world_size: int = 1
    device: str = "cpu"

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files of the group."""
        return self.rank == 0
