"""What stages ran on: noted beside what they made, and never compared."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field

from colintern.log import size_text


@dataclass(frozen=True)
class Machine:
    """One machine, or all nodes of a Ray cluster together.

    Attributes:
        platform: operating system and kind of processor of the machine that drives the run.
        cpus: of all nodes.
        memory_bytes: of the machine; of a cluster what Ray may use.
        gpus: kind to number; empty where the run uses none.
        nodes: of the cluster that was joined; None for the machine alone.
    """

    platform: str
    cpus: int
    memory_bytes: int
    gpus: Mapping[str, int] = field(default_factory=dict)
    nodes: int | None = None

    def told(self) -> str:
        """In words: `Linux x86_64, 16 CPUs, 135.0 GB of memory, 1 GPU (H100)`."""
        named = [f"{number} x {kind}" if number > 1 else kind for kind, number in self.gpus.items()]
        memory = f"{size_text(self.memory_bytes)} of memory"
        words = [self.platform, _counted(self.cpus, "CPU"), memory]
        if named:
            words.append(f"{_counted(sum(self.gpus.values()), 'GPU')} ({', '.join(named)})")
        if self.nodes is not None:
            words.insert(0, f"a Ray cluster of {_counted(self.nodes, 'node')}")
        return ", ".join(words)


def machine_here() -> Machine:
    """This machine; its GPUs are not looked at."""
    where = f"{platform.system()} {platform.machine()}"
    return Machine(where, os.cpu_count() or 1, own_memory())


def own_memory() -> int:
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
