"""A driver that encodes on a cluster, in which somebody is killed at a moment that is counted.

RAY_ADDRESS=... python -m tests.runtime.killed_encoding CONFIG VICTIM EVENT NUMBER MARKS
"""

import itertools
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor

from colintern.config.files import load_config
from colintern.features import making
from colintern.features.codec import Codec, StoredTokens
from colintern.features.making import make_stores
from colintern.model.backbone import read_identity
from colintern.runs.stores import store_targets
from colintern.runtime.cluster import cluster_of
from colintern.runtime.encode import RayCrew


@dataclass(frozen=True)
class Kill:
    """Who is killed and when.

    Attributes:
        victim: driver, worker, or node: the raylet of the worker's node.
        event: what is counted: "page", a page or question of which the features are stored;
            "write", a file that is about to get its name. The driver's are those that finish a
            store, a worker's are shards.
        number: the victim dies at this event, counted over all processes.
        marks: a folder; the numbers of the events, and `killed`.
        driver: its process.
    """

    victim: str
    event: str
    number: int
    marks: str
    driver: int

    def happened(self) -> None:
        """Count an event; kill if it is the one."""
        number = next(n for n in itertools.count(1) if _is_first(Path(self.marks, str(n))))
        if number == self.number:
            Path(self.marks, "killed").touch()
            pids = {"driver": self.driver, "worker": os.getpid(), "node": os.getppid()}
            os.kill(pids[self.victim], signal.SIGKILL)


@dataclass(frozen=True, kw_only=True)
class _Counting(Codec):
    """A codec that counts what it encodes.

    Attributes:
        kill: told of it.
    """

    kill: Kill

    def encode_page(self, token_PH: Tensor) -> StoredTokens:
        """Count, and encode."""
        self._count()
        return super().encode_page(token_PH)

    def encode_query(self, token_QH: Tensor) -> StoredTokens:
        """Count, and encode."""
        self._count()
        return super().encode_query(token_QH)

    def _count(self) -> None:
        if self.kill.event == "page":
            self.kill.happened()
        elif self.kill.victim == "worker":
            _count_writes(self.kill)


@cache
def _count_writes(kill: Kill) -> None:
    """From now on, count the files of this process that are about to get their names."""
    sys.addaudithook(lambda event, _: kill.happened() if event == "os.rename" else None)


def _is_first(path: Path) -> bool:
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _counted(finish: Callable[..., Any], kill: Kill) -> Callable[..., Any]:
    """`finish_store` in a driver that counts its writes."""

    def finish_counted(*arguments: Any) -> Any:
        _count_writes(kill)
        return finish(*arguments)

    return finish_counted


def _encode(path: str, victim: str, event: str, number: str, marks: str) -> None:
    config = load_config(path)
    kill = Kill(victim, event, int(number), marks, os.getpid())
    if (victim, event) == ("driver", "write"):
        making.finish_store = _counted(making.finish_store, kill)
    identity = read_identity(config.backbone)
    targets = [
        replace(target, codec=_Counting(**vars(target.codec), kill=kill))
        for target in store_targets(config, identity).values()
    ]
    with cluster_of(config, []) as cluster:
        cluster.ensure()
        make_stores(targets, identity, config, RayCrew(config))


if __name__ == "__main__":
    from tests.runtime.killed_encoding import _encode as encode  # workers know it by this name

    encode(*sys.argv[1:])
