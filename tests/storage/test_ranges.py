"""Pieces of remote files come with few requests, and all of their bytes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from colintern.storage.ranges import BYTES_AT_ONCE, Piece, batches_of_requests

MIB = 2**20
DATA = {name: np.random.default_rng(ord(name)).bytes(24 * MIB) for name in "ab"}
PIECES = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 40), st.integers(0, 8)).map(
        lambda drawn: Piece(drawn[0], drawn[1] * MIB // 2, (drawn[1] + drawn[2]) * MIB // 2)
    )
)


def test_near_pieces_share_a_request_and_far_ones_do_not():
    """A whole shard fetched for its first and last item, or a request for every item."""
    near = [Piece("a", 7, 9), Piece("a", MIB, MIB + 5)]
    far, other = Piece("a", 19 * MIB, 19 * MIB + 5), Piece("b", 7, 9)
    (requests,) = batches_of_requests([other, far, *near, near[0]])
    found = [(request.path, request.start, request.end) for request in requests]
    assert found == [("a", 7, MIB + 5), far, other]
    assert list(batches_of_requests([])) == []


def test_what_is_on_its_way_is_bounded():
    """All of a large shard in memory twice; an item above the bound that is never read."""
    items = [Piece("a", start * MIB, (start + 1) * MIB) for start in range(200)]
    batches = list(batches_of_requests(items))
    sizes = [sum(request.end - request.start for request in batch) for batch in batches]
    assert sum(sizes) == 200 * MIB
    assert len(batches) > 1
    assert max(sizes) <= BYTES_AT_ONCE
    huge = Piece("a", 0, 2 * BYTES_AT_ONCE)
    ((request,),) = batches_of_requests([huge])
    assert (request.path, request.start, request.end) == huge


@settings(deadline=None)
@given(PIECES)
def test_every_piece_gets_its_own_bytes(pieces):
    """One that is cut, lost, or cut out of the wrong place or file; empty and nested ones too."""
    found = {}
    for request in (request for batch in batches_of_requests(pieces) for request in batch):
        found.update(request.cut(DATA[request.path][request.start : request.end]))
    assert found == {piece: DATA[piece.path][piece.start : piece.end] for piece in pieces}
