"""What a model worker does when its node is lost."""

import os
import signal
from types import SimpleNamespace
from typing import Any

import pytest

from colintern.runtime import encoder as module
from colintern.runtime.encoder import Encoder


@pytest.fixture
def killed(monkeypatch) -> list[tuple[int, int]]:
    """Who has been killed, and with which signal; nobody is."""
    kills: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *kill: kills.append(kill))
    return kills


def _failing(error: OSError) -> Encoder:
    """A worker that has started, and whose model fails."""

    def fail(_: Any) -> None:
        raise error

    encoder = Encoder(b"", tracker=SimpleNamespace())  # pyright: ignore[reportArgumentType]
    encoder._encoder = SimpleNamespace(encode=fail)  # pyright: ignore[reportAttributeAccessIssue]
    return encoder


def test_a_call_to_ray_that_fails_before_the_node_has_quite_ended(monkeypatch, killed):
    """A raylet that is killed closes its connections, and is the parent for a moment more.

    A row that failed in this moment ended the run.
    """
    encoder = _failing(ConnectionResetError("Connection reset by peer"))
    parents = [os.getppid(), os.getppid(), 1]
    monkeypatch.setattr(os, "getppid", lambda: parents.pop(0) if len(parents) > 1 else 1)
    with pytest.raises(ConnectionResetError):  # only as nobody is really killed
        encoder._outcome(SimpleNamespace(path="shard"))  # pyright: ignore[reportArgumentType]
    assert killed == [(os.getpid(), signal.SIGKILL)]


def test_an_error_on_a_node_that_lives_is_told(monkeypatch, killed):
    """Errors of a disk that would kill worker after worker."""
    monkeypatch.setattr(module, "_SECONDS_TO_END", 0.1)
    with pytest.raises(OSError, match="No space left"):
        _failing(OSError("No space left"))._outcome(SimpleNamespace(path="shard"))  # pyright: ignore[reportArgumentType]
    assert killed == []
