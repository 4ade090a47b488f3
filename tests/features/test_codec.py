"""What is stored of a token is what it was, within the bound of its type."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from colintern.errors import DamagedShardError
from colintern.features.codec import Codec, StoredTokens
from colintern.features.reduction import Reduction
from colintern.features.shard_file import ShardFile, write_shard

_LARGEST = 2.0**15  # well inside float16


def codec(dtype: str, **keys) -> Codec:
    return Codec(dtype=dtype, width=6, tile_tokens=(2, 2), **keys)


def _tokens(number: int = 5) -> torch.Tensor:
    return torch.randn(number, 6, generator=torch.Generator().manual_seed(number))


_numbers = st.floats(-_LARGEST, _LARGEST, width=32, allow_subnormal=False)
_arrays = arrays.arrays(np.float32, st.tuples(st.integers(1, 9), st.just(6)), elements=_numbers)


@given(_arrays)
@settings(deadline=None)
def test_int8_is_off_by_half_a_scale_at_most(array):
    """Truncation in place of rounding; a scale of the page in place of the token's; 128 wrapped."""
    token_TK = torch.from_numpy(array)
    stored = codec("int8").encode_page(token_TK)
    assert stored.scale_T is not None
    assert stored.values_TK.dtype == torch.int8
    scale_T1 = stored.scale_T.double()[:, None]
    off_TK = (token_TK.double() - stored.values_TK.double() * scale_T1).abs()
    half = 0.5 + 127 * 2.0**-23  # the quotient is rounded to float32 before it is to an integer
    assert (off_TK <= half * scale_T1).all()
    assert stored.is_finite
    assert torch.equal(stored.decoded(), stored.values_TK * stored.scale_T[:, None])


@pytest.mark.parametrize(("dtype", "bits"), [("bfloat16", 8), ("float16", 11)])
def test_floats_are_off_by_their_rounding_at_most(dtype, bits):
    """A type that stands for another one in the table."""
    token_TK = _tokens(100)
    off_TK = (codec(dtype).encode_query(token_TK).decoded() - token_TK).abs()
    assert (off_TK <= token_TK.abs() * 2.0**-bits).all()
    assert off_TK.any()


def test_int8_rounds_half_to_even_and_keeps_zeros():
    """A zero token divided by its scale of 0."""
    token_TK = torch.tensor([[127.0, 0.5, 1.5, -2.5, 3.5, -127.0], [0.0] * 6])
    stored = codec("int8").encode_page(token_TK)
    assert stored.values_TK.tolist() == [[127, 0, 2, -2, 4, -127], [0] * 6]
    assert stored.decoded()[1].tolist() == [0.0] * 6


def test_the_smallest_numbers_of_int8_keep_their_signs():
    """A scale rounded down to the least float32: 180 times it wraps around in 8 bits."""
    token_TK = torch.tensor([[180.0, -180.0, 60.0, 0.0, 1.0, -1.0]]) * 2.0**-149
    found = codec("int8").encode_page(token_TK).decoded()
    assert found.sign().tolist() == token_TK.sign().tolist()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "int8"])
def test_what_is_not_finite_is_told(dtype, bad):
    """A token of int8 numbers, all finite, made of NaN."""
    token_TK = _tokens()
    assert codec(dtype).encode_page(token_TK).is_finite
    token_TK[3, 2] = bad
    assert not codec(dtype).encode_page(token_TK).is_finite


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "int8"])
def test_a_shard_gives_back_what_was_encoded(tmp_path, dtype):
    """A scale read as an item, or one that stands beside the wrong item; a wrong size planned."""
    kept = pickle.loads(pickle.dumps(codec(dtype)))  # as a worker gets it
    items = {f"{number:064x}": kept.encode_page(_tokens(number)) for number in (1, 4, 2)}
    paths = str(tmp_path / "a.safetensors"), "memory://codec/a.safetensors"
    for path in paths:
        size = write_shard(path, items, {}, "float32")
        shard = ShardFile(path, size)
        assert shard.num_tokens() == {name: len(tokens) for name, tokens in items.items()}
        assert len(shard.items().hashes) == 3
        shard.check()
        for name, found in zip(items, shard.read(list(items)), strict=True):
            assert torch.equal(found.decoded(), items[name].decoded())
        assert shard.nothing().decoded().shape == (0, 6)
    data = (tmp_path / "a.safetensors").read_bytes()
    assert len(data) - 8 - int.from_bytes(data[:8], "little") == 7 * kept.bytes_per_token


def test_a_changed_scale_is_damage(tmp_path):
    """Pages that score a thousand times too high, because a bit of a scale has flipped."""
    path = tmp_path / "a.safetensors"
    stored = codec("int8").encode_page(_tokens())
    assert stored.scale_T is not None
    write_shard(str(path), {"ab" * 32: stored}, {}, "float32")
    data = bytearray(path.read_bytes())
    data[data.index(stored.scale_T.numpy().tobytes()) + 3] ^= 4
    path.write_bytes(data)
    with pytest.raises(DamagedShardError, match=r"scale has another checksum"):
        ShardFile(str(path)).check()


def test_tokens_of_an_unknown_type_are_damage(tmp_path):
    """A type of a later version read as whatever it looks like."""
    for name, tokens in (
        ("a", StoredTokens(torch.ones(2, 4, dtype=torch.float64))),
        ("b", StoredTokens(torch.ones(2, 4, dtype=torch.int8))),
        ("c", StoredTokens(torch.ones(2, 4, dtype=torch.int8), torch.ones(3))),
        ("d", StoredTokens(torch.ones(2, 4).half(), torch.ones(2))),
    ):
        write_shard(str(tmp_path / name), {"ab" * 32: tokens}, {}, "float32")
        with pytest.raises(DamagedShardError, match="its header is not readable"):
            ShardFile(str(tmp_path / name))


@given(
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from([1, 2]),
    st.none() | st.integers(1, 40),
)
@settings(deadline=None, max_examples=30)
def test_a_page_has_as_many_tokens_and_bytes_as_planned(tile, rows, columns, merge, limit):
    """Shards of another size than `features.shard_bytes`; a thumbnail that is forgotten."""
    made = Codec("int8", 6, tile, Reduction(merge, limit))
    tiles = rows * columns + (rows * columns > 1)
    stored = made.encode_page(_tokens(tiles * tile[0] * tile[1]))
    assert len(stored) == made.num_tokens(rows, columns)
    assert stored.scale_T is not None
    size = stored.values_TK.nbytes + stored.scale_T.nbytes
    assert size == len(stored) * made.bytes_per_token
