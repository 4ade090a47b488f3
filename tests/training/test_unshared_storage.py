"""A worker of Ray Train's group that cannot work, in the processes that these tests share."""

from pathlib import Path

import torch.distributed as dist

from colintern.errors import UserError
from colintern.records import lease
from colintern.runtime.train import _Job, _opened
from colintern.training.loop import RoundTask
from colintern.training.worker import Worker
from tests.training.test_loop import _task


class _SeenByTheFirst(lease.Held):
    """A lease on the disk of the first worker's node."""

    def is_seen(self) -> bool:
        return dist.get_rank() == 0


def _open(rank: int, world_size: int, task: RoundTask, lease_path: str, told: str) -> None:
    job = _Job(task, _SeenByTheFirst(lease_path), 1, lambda _: None)
    error = _opened(job, Worker(rank, world_size))
    assert isinstance(error, UserError)
    Path(told, f"rank-{rank}").write_text(str(error))


def test_a_worker_without_shared_storage_says_so_to_all(ranks, corpus, tmp_path):
    """A node that comes up later and has a disk of its own; the others waiting for it for ever."""
    (told := tmp_path / "told").mkdir()
    with lease.held(str(tmp_path), wait=False) as held:
        ranks.run(_open, 2, _task(corpus, tmp_path), held.path, str(told))
    first, second = (path.read_text() for path in sorted(told.iterdir()))
    assert first == second
    assert "use shared storage" in first
