"""Joining or starting a cluster: what a user may have got wrong is one line."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray._private.utils import validate_socket_filepath
from ray.exceptions import AuthenticationError

from colintern import storage
from colintern.config.files import parse_config
from colintern.errors import LeaseLostError
from colintern.records import lease
from colintern.runtime import cluster, temporary
from colintern.runtime.cluster import Cluster, _root_for_sockets
from colintern.runtime.errors import ClusterError
from colintern.runtime.resources import Request
from colintern.runtime.shared import check_shared_storage, why_not_to_work
from tests.s3_server import DENIED


@pytest.fixture
def unstarted(monkeypatch, tmp_path) -> Iterator[Cluster]:
    """A cluster whose Ray is not started, but has two CPUs; nothing is joined by the shell."""
    config = {
        "data": {"train": "demo"},
        "run": {"root": str(tmp_path / "runs")},
        "training": {"num_workers": 4},
        "cluster": {"use_gpu": True},
    }
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("TMPDIR", "/tmp")
    monkeypatch.setattr(cluster, "check_answers", lambda _: None)
    monkeypatch.setattr(cluster.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(cluster.ray, "init", lambda **_: None)
    monkeypatch.setattr(cluster.ray, "shutdown", lambda: None)
    monkeypatch.setattr(cluster.ray, "nodes", list)
    monkeypatch.setattr(cluster.ray, "cluster_resources", lambda: {"CPU": 4.0})
    monkeypatch.setattr(cluster.state, "get_max_resources_from_cluster_config", lambda: None)
    made = Cluster(parse_config(config, "test"), [Request("training.num_workers", 4, 1, True)])
    yield made
    made.close()


def test_gpus_that_this_machine_does_not_have_are_one_line(unstarted):
    """A run that hangs for ever, waiting for a GPU that nobody will plug in."""
    with pytest.raises(ClusterError, match=r"num_workers=4 asks for 4 GPUs.*use_gpu=false"):
        unstarted.ensure()


def test_a_line_of_c_code_about_the_log_level_is_not_shown(unstarted, monkeypatch, capfd):
    """Every start of Ray with a line of its C++ code among ours; or its errors lost with it."""
    lines = (
        b"[2026-11-26 06:21:35 I 1 1] logging.cc:303: "
        b"Set ray log level from environment variable RAY_BACKEND_LOG_LEVEL to 3\n",
        b"no memory\n",
    )
    monkeypatch.setattr(cluster.ray, "init", lambda **_: [os.write(2, line) for line in lines])
    with pytest.raises(ClusterError):
        unstarted.ensure()
    os.write(2, b"afterwards\n")
    shown = capfd.readouterr().err
    assert "Set ray log level" not in shown
    assert shown.endswith("no memory\nafterwards\n")


@pytest.mark.parametrize("is_verbose", [False, True])
def test_what_ray_tells_every_driver_stays_out(unstarted, monkeypatch, capsys, is_verbose):
    """`There are infinite oom retries remaining` among the JSON of a search; `-v` without it."""
    monkeypatch.setattr(cluster.log, "is_verbose", lambda: is_verbose)
    with pytest.raises(ClusterError):
        unstarted.ensure()
    line = f"infinite oom retries remaining {is_verbose}"  # Ray prints equal lines once
    told = {"lines": [line], "pid": "raylet", "is_err": False}
    ray._private.worker.print_to_stdstream(told, ignore_prefix=False)
    assert ("infinite" in capsys.readouterr().out) == is_verbose
    unstarted.close()
    assert ray._private.worker._worker_logs_enabled


def test_a_long_tmpdir_is_too_long_for_sockets(unstarted, monkeypatch, tmp_path):
    """Ray's OSError about the path of a socket, or its dashboard's, where anything else works."""
    assert _root_for_sockets("/tmp") == "/tmp"
    assert _root_for_sockets("/var/tmp") == "/var/tmp"
    (long := tmp_path / "a-scratch-folder-of-a-job").mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    monkeypatch.setattr("tempfile.tempdir", None)  # what it remembers
    started = {}
    monkeypatch.setattr(cluster.ray, "init", lambda **settings: started.update(settings))
    with pytest.raises(ClusterError):  # of the GPUs
        unstarted.ensure()
    session = "session_2026-01-31_23-59-59_999999_9999999"
    validate_socket_filepath(f"{started['_temp_dir']}/{session}/sockets/plasma_store")
    assert os.environ["TMPDIR"] == "/tmp"
    unstarted.close()
    assert not Path(started["_temp_dir"]).exists()


_KILLED = """
import os, signal, sys
from colintern.runtime.temporary import make_folder
print(make_folder(sys.argv[1]), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_folder_of_a_killed_driver_goes_with_the_next_one(unstarted, monkeypatch, tmp_path):
    """Logs and sockets that fill /tmp with every kill; or those of a living driver removed."""
    root = str(tmp_path)
    command = [sys.executable, "-c", _KILLED, root]
    killed = Path(subprocess.run(command, capture_output=True, text=True).stdout.strip())
    (killed / "session").mkdir()
    ours, kept = temporary.make_folder(root), temporary.make_folder(root)
    owner = Path(kept, "owner.json")
    owner.write_text((killed / "owner.json").read_text())
    temporary.keep(kept)  # its driver is gone, and has told the user to look into it
    (of_another_machine := tmp_path / "colintern-ray-elsewhere").mkdir()
    document = json.loads((killed / "owner.json").read_text())
    (of_another_machine / "owner.json").write_text(json.dumps({**document, "machine": "0" * 12}))
    monkeypatch.setattr(cluster, "_root_for_sockets", lambda _: root)
    with pytest.raises(ClusterError):  # of the GPUs
        unstarted.ensure()
    left = {path.name for path in tmp_path.glob("colintern-ray-*")}
    unstarted.close()
    mine = left - {Path(ours).name, Path(kept).name, of_another_machine.name}
    assert len(left) == 4
    assert killed.name not in mine
    assert not (tmp_path / mine.pop()).exists()


def test_a_cluster_that_may_grow_is_waited_for(unstarted, monkeypatch):
    """A run on an autoscaling cluster refused because its nodes are not up yet; a silent wait."""
    said = []
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.setattr(cluster.log, "say", lambda part, text, *values: said.append(text % values))
    unstarted.ensure()
    assert said[-1] == (
        "training.num_workers=4 asks for 4 GPUs, the cluster has 0 now; waiting for the rest"
    )


@pytest.mark.parametrize("num_gpus", [2, 4])
def test_what_no_node_of_an_autoscaler_has_is_refused(unstarted, monkeypatch, num_gpus):
    """A run that waits for ever for a fourth GPU, where no more than two can ever come."""
    told = {"CPU": 64, "GPU": num_gpus}
    monkeypatch.setattr(cluster.state, "get_max_resources_from_cluster_config", lambda: told)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    if num_gpus == 4:
        unstarted.ensure()
        return
    words = "asks for 4 GPUs, the cluster has 2 when all of its nodes have come"
    with pytest.raises(ClusterError, match=words):
        unstarted.ensure()


def test_the_handler_of_sigterm_stays(unstarted, monkeypatch):
    """A driver that is asked to end and exits with 15, as Ray's handler does, instead of 143."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(cluster.ray, "init", lambda **_: signal.signal(signal.SIGTERM, sys.exit))
    with pytest.raises(ClusterError):  # of the GPUs
        unstarted.ensure()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("place", ["init", "nodes"])
def test_a_start_that_fails_is_ended(unstarted, monkeypatch, place):
    """Processes of Ray that stay behind because the start, or what follows it, has failed."""
    ended = []

    def fail(*_, **__):
        raise OSError("out of processes")

    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.setattr(cluster.ray, place, fail)
    monkeypatch.setattr(cluster.ray, "shutdown", lambda: ended.append(True))
    with pytest.raises(OSError, match="out of processes"):
        unstarted.ensure()
    unstarted.close()
    assert ended


def test_a_missing_token_is_one_line(unstarted, monkeypatch):
    """A traceback, and exit code 1, on a cluster that wants an authentication token."""

    def refuse(**_) -> None:
        raise AuthenticationError("Token authentication is enabled but no token was found")

    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.setattr(cluster.ray, "init", refuse)
    with pytest.raises(ClusterError, match=r"RAY_ADDRESS=10.*no token was found") as raised:
        unstarted.ensure()
    assert "\n" not in str(raised.value)


def test_a_worker_is_told_why_it_must_not_work(tmp_path):
    """A driver that was taken over, on good storage, sent to look for shared storage."""
    with lease.held(str(tmp_path), wait=False) as held:
        assert why_not_to_work(held) is None
        Path(held.path).rename(tmp_path / "lease-000002.json")  # another driver takes over
        assert isinstance(why_not_to_work(held), LeaseLostError)
        (tmp_path / "lease-000002.json").unlink()  # as a node without this storage sees it
        assert isinstance(why_not_to_work(held), ClusterError)


@pytest.fixture
def two_nodes(ray_cluster, monkeypatch) -> None:
    """The node of the tests' cluster, counted twice."""
    nodes = ray.nodes()
    monkeypatch.setattr(cluster.ray, "nodes", lambda: nodes * 2)


@pytest.mark.ray
def test_storage_that_only_the_driver_sees_is_named(two_nodes, tmp_path, monkeypatch):
    """Workers that write into a folder of their own machine, where nobody finds their files."""
    check_shared_storage([str(tmp_path)])
    assert not list(tmp_path.iterdir())
    write = storage.write_bytes
    for seen_by_others in (lambda *_: None, lambda path, _: write(path, b"another file")):
        monkeypatch.setattr(storage, "write_bytes", seen_by_others)
        with pytest.raises(ClusterError, match=r"does not read what .* use shared storage"):
            check_shared_storage([str(tmp_path)])


@pytest.mark.ray
def test_a_node_that_may_not_read_says_so(two_nodes, bucket, s3_server):
    """The advice to use shared storage for what is a matter of credentials."""
    denied = s3_server.failing(1, answer=DENIED, only=lambda method, query: method == "GET")
    with denied, pytest.raises(ClusterError, match=r"node .*: access denied; check") as raised:
        check_shared_storage([f"{bucket}/runs"])
    assert "shared storage" not in str(raised.value)
    assert s3_server.failed
