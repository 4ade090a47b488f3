"""No file is unpickled (property 9): what comes from others is data, never a program."""

import pickle
from pathlib import Path

import pytest
import torch

from colintern.config.schema import BackboneConfig
from colintern.data.canonical import CanonicalDataset
from colintern.errors import BackboneError
from colintern.model.backbone import FrozenBackbone, read_identity
from colintern.model.heads import load_heads
from colintern.training.loop import open_round, train_round
from colintern.training.worker import Worker
from tests.training.test_loop import _evaluated, _task


@pytest.fixture
def no_unpickling(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a file was unpickled")

    for module, names in ((pickle, ("load", "loads", "Unpickler")), (torch, ("load",))):
        for name in names:
            monkeypatch.setattr(module, name, refuse)


def test_a_round_and_its_evaluation_unpickle_nothing(corpus, tmp_path, no_unpickling):
    """Heads, features, datasets or the backbone kept in a format that can run code."""
    with pytest.raises(AssertionError):
        pickle.loads(b"")
    task = _task(corpus, tmp_path)
    train_round(task, open_round(task), Worker(), lambda _: None)
    assert _evaluated(corpus, tmp_path / "heads")["num_queries"] > 0
    assert CanonicalDataset(corpus.path).judgements()
    assert FrozenBackbone(BackboneConfig(path="reader")).encode_queries(["a query"])


def test_a_pickled_checkpoint_is_refused(tmp_path, no_unpickling):
    """Weights that exist only as pytorch_model.bin."""
    shipped = Path(load_heads.__code__.co_filename).parent / "reader"
    for file in shipped.glob("*.json"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"anything")
    with pytest.raises(BackboneError, match="safetensors"):
        read_identity(BackboneConfig(path=str(tmp_path)))
