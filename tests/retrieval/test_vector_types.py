"""Numbers of a vector as floats, bytes and bits."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from colintern.retrieval.vector_types import VectorType


def _vectors(dim: int = 12) -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.nn.functional.normalize(torch.randn(50, dim, generator=draw), dim=1)


def _written(dtype, vector_TN: torch.Tensor) -> np.ndarray:
    kind = VectorType(dtype, vector_TN.shape[1])
    found = kind.written(vector_TN)
    assert found.type == kind.arrow
    assert found.flatten().nbytes == len(vector_TN) * kind.num_bytes
    return found.flatten().to_numpy(zero_copy_only=False).reshape(len(vector_TN), -1)


def test_floats_are_what_they_were():
    """Numbers that are rounded where they need not be, or of another row."""
    vector_TN = _vectors()
    assert np.array_equal(_written("float32", vector_TN), vector_TN.numpy())
    assert np.array_equal(_written("float16", vector_TN), vector_TN.half().numpy())


def test_bytes_are_127_times_the_numbers():
    """Numbers cut instead of rounded, a scale of their own, a 1 that turns into -128."""
    vector_TN = torch.cat([_vectors(), torch.eye(12), -torch.eye(12)])
    found = _written("int8", vector_TN)
    assert found.dtype == np.int8
    assert np.abs(found / 127 - vector_TN.numpy()).max() <= 0.5 / 127 + 1e-7
    assert found.max() == 127
    assert found.min() == -127


@pytest.mark.parametrize("dim", [8, 12, 16])
def test_bits_are_signs(dim):
    """Bits in another order, a zero that counts as positive, the last byte cut off."""
    vector_TN = _vectors(dim)
    vector_TN[0, :3] = torch.tensor([0.0, -0.0, 1.0])
    found = _written("binary", vector_TN)
    assert found.shape == (50, -(-dim // 8))
    assert found[0, 0] >> 5 == 0b001
    bits = np.unpackbits(found, axis=1)
    assert np.array_equal(bits[:, :dim], (vector_TN > 0).numpy())
    assert not bits[:, dim:].any()
    assert VectorType("binary", dim).arrow == pa.list_(pa.uint8(), -(-dim // 8))


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("float32", lambda vector_TN: vector_TN),
        ("float16", lambda vector_TN: vector_TN.half().float()),
        ("int8", lambda vector_TN: (127 * vector_TN).round()),
        ("binary", lambda vector_TN: torch.where(vector_TN > 0, 1.0, -1.0)),
    ],
)
def test_what_was_written_is_read(dtype, expected):
    """Bits in another order, or those that fill up the last byte; rows of another width."""
    vector_TN = _vectors(dim=12)
    kind = VectorType(dtype, 12)
    found = kind.read(kind.written(vector_TN))
    assert found.dtype == torch.float32
    assert torch.equal(found, expected(vector_TN))
