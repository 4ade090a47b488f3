"""Every item stands in one shard."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from colintern.data import digests
from colintern.features.cutting import ShardLimits, plan_shards, shard_limits
from colintern.storage import sha256_of_bytes
from colintern.streams import packed


def _hashes(number: int) -> np.ndarray:
    draw = np.random.default_rng(0)
    return draw.integers(0, 256, (number, digests.NUM_BYTES), dtype=np.uint8)


def test_shards_hold_every_item_once():
    """An item in two shards or in none; a shard that is far too large; a plan out of order."""
    sizes = np.array([5, 5, 5, 30, 5, 2, 2, 9])
    shards = plan_shards(_hashes(9), np.array([0, 2, 3, 4, 5, 6, 7, 8]), [(sizes, 10)])
    rows = [shards.rows_of(shard).tolist() for shard in range(len(shards))]
    assert rows == [[0, 2], [3], [4], [5, 6, 7], [8]]
    assert len(set(shards.files)) == len(shards)
    assert all(shards.is_exact(shard) for shard in range(len(shards)))
    nothing = np.empty(0, np.int64)
    assert len(plan_shards(_hashes(0), nothing, [(nothing, 10)])) == 0


@settings(deadline=None)  # the first example may wait for a busy machine
@given(st.lists(st.integers(1, 30), max_size=40), st.integers(1, 60), st.integers(0, 7))
def test_shards_are_those_of_a_plain_loop(sizes, limit, first_number):
    """Shards of other items or names than earlier versions gave, so that a store is made twice."""
    hashes = _hashes(len(sizes))
    rows = np.arange(len(sizes))
    found = plan_shards(hashes, rows, [(np.array(sizes, np.int64), limit)], first_number)
    expected = list(packed(range(len(sizes)), sizes.__getitem__, limit))
    items = [[hashes[row].tobytes().hex() for row in shard] for shard in expected]
    assert [list(found.shard(shard).items) for shard in range(len(found))] == items
    assert list(found.files) == [
        f"shard-{first_number + number:05d}-"
        f"{sha256_of_bytes(''.join(names).encode())[:8]}.safetensors"
        for number, names in enumerate(items)
    ]


def test_a_shard_ends_at_the_first_of_its_limits():
    """Hours without a sign of progress, because a large page takes few bytes and much work."""
    sizes, work = np.array([1, 1, 1, 9, 1, 1]), np.array([5, 5, 90, 1, 4, 5])
    shards = plan_shards(_hashes(6), np.arange(6), [(sizes, 10), (work, 10)])
    rows = [shards.rows_of(shard).tolist() for shard in range(len(shards))]
    assert rows == [[0, 1], [2], [3, 4], [5]]


def test_a_shard_is_about_a_minutes_work():
    """A limit that is off by a thousand: a shard of hours, or a file for each page of the demo."""
    cpu, gpu = (shard_limits(256 * 2**20, use_gpu) for use_gpu in (False, True))
    assert cpu == ShardLimits(256 * 2**20, 6_000_000)  # 60 s of 0.1 TFLOP/s
    assert gpu == ShardLimits(256 * 2**20, 6_000_000_000)  # 60 s of 100 TFLOP/s
