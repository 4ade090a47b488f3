"""The job script on a real Ray head, through `ray job submit`."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers import free_port

ROOT = Path(__file__).parent.parent
RAY = Path(sys.executable).with_name("ray")


@pytest.fixture
def head(tmp_path):
    """A Ray head of its own, with token authentication; its environment and job address."""
    environment = {
        **os.environ,
        "HOME": str(tmp_path),  # the token is written there
        "RAY_AUTH_MODE": "token",
    }
    environment.pop("RAY_ADDRESS", None)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [
        RAY,
        "start",
        "--head",
        "--block",
        "--num-cpus=4",
        f"--port={free_port()}",
        "--dashboard-host=127.0.0.1",
        f"--dashboard-port={port}",
        "--disable-usage-stats",
    ]
    with (tmp_path / "head.log").open("w") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        yield environment, address
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


@pytest.mark.ray
def test_ray_job_submit_runs_the_loop_to_the_end(head, tmp_path):
    """A driver that needs an installed entry point, the shell's folder, or no authentication."""
    environment, address = head
    submit = [
        RAY,
        "job",
        "submit",
        "--address",
        address,
        "--working-dir",
        str(ROOT),
        "--",
        sys.executable,
        "ray_jobs/pipeline.py",
        "--config",
        "configs/tiny.yaml",
        f"run.root={tmp_path}/runs",
    ]
    deadline = time.monotonic() + 90
    while True:
        job = subprocess.run(submit, env=environment, capture_output=True, text=True, timeout=500)
        if job.returncode == 0 or time.monotonic() > deadline:
            break
        assert "onnect" in job.stderr + job.stdout, job.stdout + job.stderr  # not up yet
    assert job.returncode == 0, job.stdout + job.stderr
    assert "succeeded" in job.stdout
    run = tmp_path / "runs" / "tiny"
    assert (run / "round-2" / "heads" / "heads.safetensors").is_file()
    assert (run / "report.html").is_file()
