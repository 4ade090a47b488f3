"""The job script on a real Ray head, through `ray job submit`."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers import free_port

ROOT = Path(__file__).parents[2]
RAY = Path(sys.executable).with_name("ray")


@pytest.fixture
def head(tmp_path):
    """A Ray head of its own, with token authentication; its environment and job address."""
    environment = {
        **os.environ,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
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
        # The session's own cluster has the default one: without it the head refuses all jobs.
        f"--dashboard-agent-listen-port={free_port()}",
        "--disable-usage-stats",
    ]
    with (tmp_path / "head.log").open("w") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait_until_up(process, tmp_path / "head.log", port)
            yield environment, address
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def _wait_until_up(process: subprocess.Popen, log: Path, port: int) -> None:
    deadline = time.monotonic() + 120
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        with socket.socket() as caller:
            caller.settimeout(0.2)
            if caller.connect_ex(("127.0.0.1", port)) == 0:
                return


def _submitted(command: list, environment: dict[str, str]) -> subprocess.CompletedProcess:
    """The finished job; a head that has just come up refuses jobs until its agent has, too."""
    deadline = time.monotonic() + 120
    while True:
        job = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
        if "No available agent" not in job.stderr or time.monotonic() > deadline:
            return job


@pytest.mark.slow
@pytest.mark.ray
def test_ray_job_submit_runs_the_loop_to_the_end(head, tmp_path):
    """A driver that needs an installed entry point, the shell's folder, or no authentication.

    And results in the job's own folder, which Ray deletes: without an absolute root it is refused.
    """
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
    ]
    job = _submitted(submit, environment)
    assert "error: run.root=runs: in a submitted job it must be absolute" in job.stdout
    assert job.returncode != 0
    job = _submitted([*submit, f"run.root={tmp_path}/runs"], environment)
    assert job.returncode == 0, job.stdout + job.stderr
    assert "succeeded" in job.stdout
    run = tmp_path / "runs" / "tiny"
    assert (run / "round-2" / "heads" / "heads.safetensors").is_file()
    assert (run / "report.html").is_file()
