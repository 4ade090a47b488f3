"""A shard gives back what was written."""

import numpy as np
import pytest
import torch

from colintern.errors import DamagedShardError
from colintern.features.shard_file import ShardFile, write_shard
from tests.helpers import stored


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_shard_is_read_back_exactly(tmp_path, dtype):
    """Bytes of a neighbour; a dtype that numpy does not know; remote reads off by one."""
    draw = np.random.default_rng(0)
    features = {
        f"item{number}": torch.from_numpy(draw.normal(size=(number + 1, 6))).to(dtype)
        for number in range(5)
    }
    for path in (str(tmp_path / "a.safetensors"), "memory://store/a.safetensors"):
        write_shard(path, stored(features), {"broken": "why"}, "float32")
        shard = ShardFile(path)
        assert shard.bad == {"broken": "why"}
        assert shard.num_tokens() == {f"item{number}": number + 1 for number in range(5)}
        for found, tensor in zip(shard.read(list(features)), features.values(), strict=True):
            assert torch.equal(found.values_TK, tensor)
        twice = shard.read(["item3", "item0", "item3"])
        for found, name in zip(twice, ("item3", "item0", "item3"), strict=True):
            assert torch.equal(found.values_TK, features[name])


@pytest.mark.parametrize("place", ["features", "bad"])
def test_an_item_that_is_not_named_by_a_hash_is_damage(tmp_path, place):
    """An assertion without the name of the file that has to be made again."""
    path, good = str(tmp_path / "a.safetensors"), {"ab" * 32: torch.ones(1, 2).half()}
    named = {"features": {**good, "xy": torch.ones(1, 2).half()}, "bad": {}}
    odd = named if place == "features" else {"features": good, "bad": {"xy": "why"}}
    write_shard(path, stored(odd["features"]), odd["bad"], "float32")
    with pytest.raises(DamagedShardError, match=r"a\.safetensors: item 'xy' is no SHA-256"):
        ShardFile(path).items()
    assert (tmp_path / "a.safetensors.damaged").exists()
