"""A worker process that ends when its parent ends, in whatever way."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing.process import BaseProcess

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_the_parent() -> None:
    """End this process, started by `multiprocessing`, as soon as its parent is dead.

    A thread waits for the parent's death. On Linux the kernel watches too: it also ends a process
    inside a C library that never returns to Python. The kernel watches the thread of the parent
    that started this process: that thread must live as long as the work.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # This also notices a parent that died before this line: its end of the pipe is closed.
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)
