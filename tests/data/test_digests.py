"""Hashes go from text to bytes and back."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from colintern.data import digests

HASHES = st.lists(st.binary(min_size=32, max_size=32), max_size=9)


def _raw(hashes: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, digests.NUM_BYTES)


@given(HASHES, st.integers(0, 3))
def test_text_and_bytes_are_inverse(hashes, start):
    """A digit lost or turned; a slice of a column read from the column's beginning."""
    texts = pa.array([raw.hex() for raw in hashes], pa.string())
    assert digests.texts_of(_raw(hashes)).equals(texts)
    found, valid = digests.parse(texts[start:])
    assert valid.all()
    assert found.tobytes() == b"".join(hashes[start:])
    assert digests.bytes_of(digests.column_of(_raw(hashes))[start:]).tobytes() == found.tobytes()


def test_a_column_is_turned_in_parts(monkeypatch):
    """The rows after the first part, left as they were."""
    monkeypatch.setattr(digests, "_ROWS_AT_ONCE", 2)
    hashes = [bytes([number]) * 32 for number in range(5)]
    texts = digests.texts_of(_raw(hashes))
    assert texts.to_pylist() == [raw.hex() for raw in hashes]
    assert digests.parse(texts)[0].tobytes() == b"".join(hashes)


@given(st.lists(st.integers(0, 3), max_size=12))
def test_equal_hashes_have_equal_numbers(kinds):
    """Pages of one picture taken for two; the second of two equal ones planned, not the first."""
    hashes = _raw([bytes([kind]) * 32 for kind in kinds])
    order = list(dict.fromkeys(kinds))
    assert digests.numbered(hashes).tolist() == [order.index(kind) for kind in kinds]
    assert digests.first_rows(hashes).tolist() == [kinds.index(kind) for kind in order]
