"""What is sent to worker processes: in a module of its own, which they import quickly."""

import multiprocessing
import os
import signal
import threading

from colintern.ingestion.sources import SourceFile


def behave(name: str) -> tuple[str, int]:
    """Die, hang, or return the name and the process id."""
    if name == "crash":
        os._exit(1)
    if name == "hang":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        threading.Event().wait()
    return name, os.getpid()


class CrashingFile(SourceFile):
    """A file whose renderer dies as soon as it opens it."""

    def __getattribute__(self, name: str):
        if name == "path" and multiprocessing.parent_process() is not None:
            os._exit(1)
        return super().__getattribute__(name)


class CrashingPath(str):
    """A corpus file that kills every process but the driver's that opens it."""

    __slots__ = ()

    def __contains__(self, part: str) -> bool:
        if multiprocessing.parent_process() is not None:
            os._exit(1)
        return super().__contains__(part)
