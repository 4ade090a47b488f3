"""No worker outlives its driver."""

import os
import select
import signal
import subprocess
import sys

import pytest

_DRIVER = """
import ctypes, os, threading
from colintern.ingestion.pool import Processes

def work(name):
    print(os.getpid(), flush=True)
    if name == "deep":  # in a C library, with Python's lock: no thread of this process has its turn
        ctypes.PyDLL(None).sleep(600)
    return name

def drive():
    with Processes(2) as processes:
        for name, _ in processes.each(work, ["shallow", "deep"], seconds=600):
            print(name, flush=True)  # its worker is idle from here on

if __name__ == "__main__":
    thread = threading.Thread(target=drive)
    thread.start()
    thread.join()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs the kernel's help")
def test_workers_end_with_a_killed_driver(tmp_path):
    """Two idle processes of 610 MB, long after the ingest that had started them was killed."""
    (tmp_path / "driver.py").write_text(_DRIVER)
    driver = subprocess.Popen(
        [sys.executable, str(tmp_path / "driver.py")], stdout=subprocess.PIPE, text=True
    )
    assert driver.stdout is not None
    lines = sorted(driver.stdout.readline().strip() for _ in range(3))
    assert lines.pop() == "shallow"
    workers = [os.pidfd_open(int(line)) for line in lines]
    try:
        driver.kill()
        driver.wait()
        for worker in workers:
            ended, _, _ = select.select([worker], [], [], 30)
            assert ended, "a worker goes on without its driver"
    finally:
        for worker in workers:
            if not select.select([worker], [], [], 0)[0]:
                signal.pidfd_send_signal(worker, signal.SIGKILL)
            os.close(worker)
        driver.stdout.close()
