"""What a model worker makes of what goes wrong in it."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from colintern.errors import ConfigError
from colintern.runtime import shard_encoder
from colintern.runtime.shard_encoder import ShardEncoder


def test_a_batch_that_does_not_fit_into_the_gpu_names_its_setting(monkeypatch):
    """A GPU that is too small answered with pages of tracebacks, of Ray's and of torch's."""

    def too_large(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    ended: list[str] = []
    encoder: Any = object.__new__(ShardEncoder)
    encoder._settings = SimpleNamespace(stores={"store": SimpleNamespace(held=None)})
    encoder._tracker = SimpleNamespace(begin=lambda _: None, end=ended.append)
    encoder._batch_tokens = 512
    monkeypatch.setattr(shard_encoder, "why_not_to_work", lambda _: None)
    monkeypatch.setattr(ShardEncoder, "_encode", too_large)
    with pytest.raises(ConfigError, match=r"features\.batch_tokens=512"):
        encoder.encode(SimpleNamespace(store="store", path="shard"))
    assert ended == ["shard"]
