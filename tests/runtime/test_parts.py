"""Parts of work, each a file: made once, in this process or by actors that may die."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from colintern import storage
from colintern.config.files import parse_config
from colintern.config.schema import Config
from colintern.errors import DatasetError, LeaseLostError
from colintern.records import lease
from colintern.records.lease import Held
from colintern.runtime.cluster import Cluster
from colintern.runtime.errors import WorkersDiedError
from colintern.runtime.part_pool import RayPartsCrew
from colintern.runtime.parts import CrewHere, Part, PartsJob, make_parts


@dataclass(frozen=True)
class Writing:
    """Makers that write the task of a part, and note beside it who did."""

    misbehave: Callable[[Part], None] = lambda _: None

    def __call__(self, device: str) -> Callable[[Part], None]:
        def make(part: Part) -> None:
            self.misbehave(part)
            storage.write_bytes(part.path + f".by-{os.getpid()}", b"")
            storage.write_bytes(part.path, f"{part.task} on {device}".encode())

        return make


def _job(folder: Path, maker: Writing, num_parts: int = 4) -> PartsJob:
    parts = [Part(str(folder / f"part-{n}"), 10 + n, f"task {n}") for n in range(num_parts)]
    return PartsJob("test", "pages", parts, maker)


def _made(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.glob("part-?"))}


WANTED = {f"part-{n}": f"task {n} on cpu" for n in range(4)}


def _config(num_workers: int) -> Config:
    document = {"data": {"train": "demo"}, "cluster": {"encode_workers": num_workers}}
    return parse_config(document, "test")


@pytest.fixture
def held(tmp_path):
    with lease.held(str(tmp_path), wait=False) as held:
        yield held


def test_parts_that_are_there_stay(tmp_path, held, caplog):
    """A part that is made again after an interruption, one that is left out, a wrong count."""

    def fail(part: Part) -> None:
        if part.task == "task 2":
            raise DatasetError("a page is gone")

    caplog.set_level("INFO", "colintern")
    with pytest.raises(DatasetError):
        make_parts(_job(tmp_path, Writing(fail)), CrewHere(), held)
    assert sorted(_made(tmp_path)) == ["part-0", "part-1"]
    (tmp_path / "part-0").write_text("an earlier start's")
    make_parts(_job(tmp_path, Writing()), CrewHere(), held)
    assert _made(tmp_path) == {**WANTED, "part-0": "an earlier start's"}
    told = [record.getMessage() for record in caplog.records]
    assert "2 of 4 parts to do" in told[-2]
    assert "25 / 25 pages   2 / 2 parts" in told[-1]


def test_nothing_is_opened_when_nothing_is_missing(tmp_path, held):
    """Ray that starts, or a model that is loaded, to be told that all is done."""
    job = _job(tmp_path, Writing())
    make_parts(job, CrewHere(), held)
    make_parts(job, RayPartsCrew(_NoCluster(), _config(1)), held)
    assert _made(tmp_path) == WANTED


def test_who_has_lost_the_folder_stops(tmp_path, held):
    """Two drivers that write the same parts, because one was asleep."""

    def take_over(part: Part) -> None:
        storage.delete(held.path)

    with pytest.raises(LeaseLostError):
        make_parts(_job(tmp_path, Writing(take_over)), CrewHere(), held)
    assert list(_made(tmp_path)) == ["part-0"]


class _NoCluster(Cluster):
    def __init__(self) -> None:
        pass

    def ensure(self) -> None:
        raise AssertionError("a cluster is asked for")


@dataclass(frozen=True)
class DieOnce:
    """Ends the worker that makes a part, the first time; or every time."""

    task: str
    always: bool = False

    def __call__(self, part: Part) -> None:
        if part.task == self.task and (self.always or not os.path.exists(part.path + ".died")):
            Path(part.path + ".died").touch()
            os._exit(1)


@dataclass(frozen=True)
class FailWith:
    """Raises our error in one part."""

    def __call__(self, part: Part) -> None:
        raise DatasetError(f"{part.task}: no such page")


def _on_ray(job: PartsJob, held: Held, num_workers: int = 2) -> None:
    config = _config(num_workers)
    make_parts(job, RayPartsCrew(Cluster(config, []), config), held)


@pytest.mark.ray
def test_a_lost_worker_is_replaced(tmp_path, held, ray_cluster):
    """A run that ends, or hangs, because a spot machine is gone; one worker that does all."""
    _on_ray(_job(tmp_path, Writing(DieOnce("task 1"))), held)
    assert (tmp_path / "part-1.died").exists()
    assert _made(tmp_path) == WANTED
    assert len({path.suffix for path in tmp_path.glob("*.by-*")}) >= 2


@pytest.mark.ray
def test_a_part_that_ends_every_worker_is_named(tmp_path, held, ray_cluster):
    """Workers that are started for ever, as when the memory never suffices."""
    job = _job(tmp_path, Writing(DieOnce("task 0", always=True)), 1)
    with pytest.raises(WorkersDiedError, match=r"3 workers have died of making .*part-0"):
        _on_ray(job, held)


@pytest.mark.ray
def test_our_error_comes_through_as_it_is(tmp_path, held, ray_cluster):
    """Ray's traceback around a mistake of the user's, or another exit code."""
    with pytest.raises(DatasetError, match=r"^task \d: no such page$"):
        _on_ray(_job(tmp_path, Writing(FailWith())), held)
