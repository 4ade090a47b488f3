"""Peak memory, time, and the longest wait for the interpreter, each measured in a fresh process."""

import gc
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from colintern.runtime.cluster import WORKER_ENVIRONMENT

_TICK_SECONDS = 0.01


class Meter:
    """Measures the process that it is made in, from then on.

    Memory is the resident set: what Python, numpy and Arrow hold, and what their allocators keep.
    What was written to files before should have been written by another process, or the memory that
    this one has freed is used again and not counted.
    """

    def __init__(self) -> None:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again
        self._before = _resident("VmHWM")
        self.seconds: dict[str, float] = {}
        self.latest = 0.0

    def measured(self) -> dict[str, Any]:
        """All that was measured, for JSON; the process still holds what it keeps.

        `peak` is the high-water mark and `kept` what is resident now, both in bytes above what was
        resident at first.
        """
        gc.collect()
        peak, kept = (_resident(name) - self._before for name in ("VmHWM", "VmRSS"))
        return {"peak": peak, "kept": kept, "seconds": self.seconds, "latest": self.latest}

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Time a block; a thread beside it notes how late it was ever woken, in seconds.

        A thread that renews a lease waits as long for the interpreter's lock.
        """
        ended = threading.Event()
        ticking = threading.Thread(target=self._tick, args=(ended,))
        ticking.start()
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = time.perf_counter() - began
            ended.set()
            ticking.join()

    def _tick(self, ended: threading.Event) -> None:
        while not ended.is_set():
            began = time.perf_counter()
            ended.wait(_TICK_SECONDS)
            self.latest = max(self.latest, time.perf_counter() - began - _TICK_SECONDS)


def in_fresh_process(name: str, folder: Path, number: int) -> dict[str, Any]:
    """Take one measurement: what `python -m benchmarks.scale --measure NAME` prints, as JSON."""
    arguments = ["--measure", name, "--folder", str(folder), "--number", str(number)]
    command = [sys.executable, "-m", "benchmarks.scale", *arguments]
    environment = {**os.environ, **WORKER_ENVIRONMENT}
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(found.stdout.splitlines()[-1])


def _resident(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status: no {name}")
