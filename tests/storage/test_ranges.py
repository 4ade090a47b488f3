"""Ranges of a remote file come with few requests, and all of their bytes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from colintern.storage.ranges import BYTES_AT_ONCE, batches_of_requests

MIB = 2**20
DATA = np.random.default_rng(0).bytes(24 * MIB)
RANGES = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 8)).map(
        lambda drawn: (drawn[0] * MIB // 2, (drawn[0] + drawn[1]) * MIB // 2)
    )
)


def test_near_ranges_share_a_request_and_far_ones_do_not():
    """A whole shard fetched for its first and last item, or a request for every item."""
    near, far = [(7, 9), (MIB, MIB + 5)], (19 * MIB, 19 * MIB + 5)
    (requests,) = batches_of_requests([far, *near, near[0]])
    assert [(request.start, request.end) for request in requests] == [(7, MIB + 5), far]
    assert list(batches_of_requests([])) == []


def test_what_is_on_its_way_is_bounded():
    """All of a large shard in memory twice; an item above the bound that is never read."""
    items = [(start * MIB, (start + 1) * MIB) for start in range(200)]
    batches = list(batches_of_requests(items))
    sizes = [sum(request.end - request.start for request in batch) for batch in batches]
    assert sum(sizes) == 200 * MIB
    assert len(batches) > 1
    assert max(sizes) <= BYTES_AT_ONCE
    huge = (0, 2 * BYTES_AT_ONCE)
    ((request,),) = batches_of_requests([huge])
    assert (request.start, request.end) == huge


@settings(deadline=None)
@given(RANGES)
def test_every_range_gets_its_own_bytes(ranges):
    """A range that is cut, lost, or cut out of the wrong place; empty and nested ones as well."""
    found = {}
    for request in (request for batch in batches_of_requests(ranges) for request in batch):
        found.update(request.cut(DATA[request.start : request.end]))
    assert found == {(start, end): DATA[start:end] for start, end in ranges}
