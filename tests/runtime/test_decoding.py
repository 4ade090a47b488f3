"""Pages are prepared in tasks: in order, bounded, whatever the pages or the cluster are like."""

import os
import signal
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import ray
from PIL import Image
from ray.exceptions import NodeDiedError, OutOfMemoryError

from colintern.data.canonical import CanonicalDataset, iterate_pages
from colintern.features.preparing import PageBatch, PreparedPages, prepare
from colintern.model.tiles import Tiler
from colintern.runtime import decoding
from colintern.runtime.decoding import PreparedAhead, Supply, supply
from colintern.runtime.errors import WorkersDiedError
from colintern.storage import sha256_of_bytes
from tests.helpers import corpus_of, png

TILER = Tiler(32, 32, 4, Image.Resampling.BICUBIC)


@dataclass(frozen=True)
class _Deadly(Tiler):
    """A tiler that kills its process on pages of 40 pixels."""

    def __call__(self, image: Image.Image) -> np.ndarray:
        """Kill, or cut."""
        if image.width == 40:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(image)


def _batches(folder, sizes: list[list[int]]) -> list[PageBatch]:
    """Batches of pages with these widths; 0 for what is no image."""
    widths = [width for batch in sizes for width in batch]
    images = [png(seed, width) if width else b"none" for seed, width in enumerate(widths)]
    corpus_of(folder, images, 1)
    (file,) = CanonicalDataset(str(folder)).corpus_files
    pages = list(iterate_pages(file))
    batches = []
    for batch in sizes:
        taken, pages = pages[: len(batch)], pages[len(batch) :]
        items = tuple(sha256_of_bytes(page.image) for _, page in taken)
        ids = tuple(page.page_id for _, page in taken)
        batches.append(PageBatch(items, tuple(location for location, _ in taken), ids))
    return batches


@pytest.mark.ray
@pytest.mark.slow
def test_a_page_whose_decoding_kills_costs_that_page(ray_cluster, tmp_path):
    """A batch, or a run, lost to one page that its decoder does not survive."""
    batches = _batches(tmp_path / "set", [[32, 64], [96, 40, 0], [32]])
    deadly = _Deadly(32, 32, 4, Image.Resampling.BICUBIC)
    found = list(PreparedAhead(batches, deadly, Supply(2, 1)))
    expected = [prepare(batch, TILER) for batch in batches]
    for one, other in zip(found, expected, strict=True):
        killed = set(other.num_tiles) - set(one.num_tiles)
        tiles = dict(zip(other.num_tiles, other.pages(), strict=True))
        for item, page in zip(one.num_tiles, one.pages(), strict=True):
            np.testing.assert_array_equal(page, tiles[item])
        assert {one.bad[item] for item in killed} <= {"its decoding kills the process"}
        assert {item: one.bad[item] for item in other.bad} == other.bad
    assert [len(one.bad) for one in found] == [0, 2, 0]
    assert not found[0].tiles.flags.writeable  # it is read where it lies, in the object store


@ray.remote
class _Holder:
    def hold(self) -> None:
        """Be there."""


@pytest.mark.ray
def test_pages_are_prepared_though_others_have_every_cpu(ray_cluster, tmp_path, monkeypatch):
    """Workers that hold all CPUs, and wait for ever for tasks which wait for a CPU."""
    holding: Any = _Holder.options(num_cpus=4).remote()  # pyright: ignore[reportAttributeAccessIssue]
    ray.get(holding.hold.remote())
    monkeypatch.setattr(decoding, "_PATIENCE_SECONDS", 0.2)
    batches = _batches(tmp_path / "set", [[32], [64], [96], [32], [64]])
    starved = threading.Event()
    found = list(PreparedAhead(batches, TILER, Supply(2, 1), starved))
    monkeypatch.setattr(decoding, "_PATIENCE_SECONDS", 600)  # the next shard waits no more
    assert starved.is_set()
    assert list(PreparedAhead(batches[:1], TILER, Supply(2, 1), starved))
    assert supply(1, 1, may_grow=True, is_starved=True).num_cpus == 0
    ray.kill(holding)
    assert [item for one in found for item in one.num_tiles] == [
        item for batch in batches for item in batch.items
    ]


def test_machines_that_vanish_cost_no_page(tmp_path, monkeypatch):
    """A run that ends with Ray's traceback, or a page listed as bad, for spot machines."""
    (batch,) = _batches(tmp_path / "set", [[32]])
    lost = [NodeDiedError("spot"), NodeDiedError("spot"), NodeDiedError("spot")]

    def got(_, batch: PageBatch, *__: Any) -> PreparedPages:
        if lost:
            raise lost.pop()
        return prepare(batch, TILER)

    monkeypatch.setattr(PreparedAhead, "_task", lambda *_: None)
    monkeypatch.setattr(PreparedAhead, "_got", got)
    (found,) = PreparedAhead([batch], TILER, Supply(2, 1))
    assert (list(found.num_tiles), found.bad) == (list(batch.items), {})


def test_a_page_is_not_blamed_for_a_machine_without_memory(tmp_path, monkeypatch):
    """A good page listed as bad, or tried for ever, because others had taken all memory."""
    (batch,) = _batches(tmp_path / "set", [[32]])

    def got(*_: Any) -> PreparedPages:
        raise OutOfMemoryError("killed")

    monkeypatch.setattr(PreparedAhead, "_task", lambda *_: None)
    monkeypatch.setattr(PreparedAhead, "_got", got)
    with pytest.raises(WorkersDiedError, match=r"page p000: .* short of memory"):
        list(PreparedAhead([batch], TILER, Supply(2, 1)))


def test_batches_are_begun_ahead_and_no_further(tmp_path, monkeypatch):
    """A shard's tiles all in the object store at once: 13 GB for 256 MB of features."""
    begun: list[int] = []
    monkeypatch.setattr(PreparedAhead, "_task", lambda _, batch, __: begun.append(batch) or batch)
    monkeypatch.setattr(PreparedAhead, "_got", lambda _, batch, *__: batch)
    batches: list = list(range(1, 8))
    ahead = PreparedAhead(batches, TILER, Supply(2, 1))
    assert begun == [1, 2, 3]
    for number, batch in enumerate(ahead, 1):
        assert batch == number
        assert len(begun) <= min(number + 2, 7)
    assert begun == batches


@pytest.mark.parametrize(
    ("cpus", "num_workers", "may_grow", "expected"),
    [
        (2, 2, False, Supply(2, 0)),
        (2, 2, True, Supply(2, 1)),
        (4, 2, False, Supply(2, 1)),
        (64, 2, False, Supply(16, 1)),
        (32, 4, False, Supply(7, 1)),
    ],
)
def test_free_cpus_are_shared_out(monkeypatch, cpus, num_workers, may_grow, expected):
    """Tasks that no CPU is left for, on a cluster that stays as it is; or CPUs that idle."""
    monkeypatch.setattr(decoding.ray, "cluster_resources", lambda: {"CPU": float(cpus)})
    assert supply(num_workers, 1, may_grow=may_grow) == expected
