"""How much memory may be taken: what a person writes, and what this machine has left."""

import os
import re
from pathlib import Path

from colintern.errors import UserError

_DEFAULT_SHARE = 0.5  # of what is free: the rest is for the model, and for other programs
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)B?", re.IGNORECASE)
_CGROUP = Path("/sys/fs/cgroup")  # of a container that has its own view of it
# What may be used, what is used, and where it is told how much of that are files not read lately:
# of the second version of control groups, and of the first, which knows no "max".
_LIMITS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)


def parse_size(text: str) -> int:
    """The bytes of `8GB`, `1.5 TB`, `512MiB` or `4096`.

    Raises:
        UserError: it is no size.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None or (found[3] and not found[2]):
        raise UserError(f"--memory {text}: is not a size; write one as 8GB, 500MB or 16GiB")
    base = 1_024 if found[3] else 1_000
    return int(float(found[1]) * base ** _POWERS[found[2].upper()])


def default_memory(device: str = "cpu") -> int:
    """Half of the memory that is free now, in bytes.

    Args:
        device: where embeddings are kept. On a GPU its own memory counts too.
    """
    free = min(_free_on_machine(), _free_in_container(), _free_on_device(device))
    return int(_DEFAULT_SHARE * free)


def _free_on_machine() -> float:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:  # not Linux
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    kilobytes = (int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    return next(kilobytes, 0) * 1_024


def _free_in_container() -> float:
    """What the limit of a container leaves; infinite where there is no limit."""
    return min(_free_of_limit(*names) for names in _LIMITS)


def _free_of_limit(limit: str, used: str, stat: str, unread: str) -> float:
    """What a limit leaves, by the files that tell it; infinite without them, or without a limit.

    Files that were read count as used until memory is short. As for Kubernetes, those that were not
    read lately count as free: else nothing would be free after some gigabytes of features.
    """
    try:
        most, taken, told = ((_CGROUP / name).read_text() for name in (limit, used, stat))
    except OSError:
        return float("inf")
    if most.strip() == "max":
        return float("inf")
    numbers = dict(line.split() for line in told.splitlines())
    return max(0, int(most) - int(taken) + int(numbers.get(unread, 0)))


def _free_on_device(device: str) -> float:
    if not device.startswith("cuda"):
        return float("inf")
    import torch  # takes seconds; the command line reads sizes without it

    return torch.cuda.mem_get_info(device)[0]
