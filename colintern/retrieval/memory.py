"""How much memory may be taken: what a person writes, and what this machine has left."""

import os
import re
from pathlib import Path

from colintern.errors import UserError

_DEFAULT_SHARE = 0.5  # of what is free: the rest is for the model, and for other programs
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)B?", re.IGNORECASE)
_CGROUP = Path("/sys/fs/cgroup")  # of a container that has its own view of it


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


def default_memory() -> int:
    """Half of the memory that is free now, in bytes."""
    return int(_DEFAULT_SHARE * min(_free_on_machine(), _free_in_container()))


def _free_on_machine() -> float:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:  # not Linux
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    kilobytes = (int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    return next(kilobytes, 0) * 1_024


def _free_in_container() -> float:
    """What the limit of a container leaves; infinite where there is no limit."""
    try:
        limit, used = ((_CGROUP / f"memory.{name}").read_text() for name in ("max", "current"))
    except OSError:
        return float("inf")
    return float("inf") if limit.strip() == "max" else max(0, int(limit) - int(used))
