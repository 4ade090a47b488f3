"""A process that ends when the one that started it is gone, however that ended."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing.process import BaseProcess

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_the_parent() -> None:
    """End this process, one of `multiprocessing`'s, as soon as its parent is dead.

    A thread waits for the parent's death. On Linux the kernel watches too, which also ends a
    process that is deep inside a C library and never gives Python a turn. What the kernel watches
    is the parent's thread that started this process: that thread must live as long as the work.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # A parent that died before this line is seen as well: its end of the pipe is closed.
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)
