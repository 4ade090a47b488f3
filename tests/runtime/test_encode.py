"""Encoding on Ray: the bytes of `LocalWorkers`, whoever dies meanwhile."""

import io
import json
import os
import shutil
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from PIL import Image
from torch import Tensor

from colintern.config.schema import Config
from colintern.features.codec import Codec, StoredTokens
from colintern.features.making import make_stores
from colintern.features.plan import StoreTarget
from colintern.features.store import FeatureStore
from colintern.model.backbone import BackboneIdentity, read_identity
from colintern.runs.local import LocalWorkers
from colintern.runs.stores import store_targets
from colintern.runtime.encode import RayCrew
from colintern.runtime.errors import WorkersDiedError
from tests.features.helpers import config_of
from tests.helpers import corpus_of, png


@dataclass(frozen=True)
class _Deadly(Codec):
    """A codec that kills the process in which it encodes a page.

    Attributes:
        marks: a folder; the process dies for one page only, which is noted there.
        tokens: the process dies for every page of so many tokens.
    """

    marks: str | None = None
    tokens: int | None = None

    def encode_page(self, token_PH: Tensor) -> StoredTokens:
        """Kill, or encode."""
        is_first = self.marks is not None and _is_first(Path(self.marks, "killed"))
        if is_first or len(token_PH) == self.tokens:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode_page(token_PH)


@dataclass(frozen=True)
class _DeadlyToLoad(Codec):
    """A codec that no process survives that has it sent."""

    def __reduce__(self):
        return _die, ()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _is_first(path: Path) -> bool:
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


@pytest.fixture
def unmade(tmp_path) -> tuple[Config, BackboneIdentity, list[StoreTarget]]:
    """A store of several shards that nobody has encoded yet, for two workers."""
    wide = io.BytesIO()
    Image.new("RGB", (1_200, 300), "white").save(wide, "PNG")
    images = [png(number) for number in range(20)]
    corpus_of(tmp_path / "set", [*images[:7], wide.getvalue(), b"no image", *images[7:]], 8)
    config = config_of(tmp_path, "random")
    updates = {
        "data": {"max_bad_fraction": 0.1},
        "features": {"shard_bytes": 400_000, "batch_tokens": 2_000},
        "cluster": {"encode_workers": (1, 2)},
    }
    sections = {
        name: getattr(config, name).model_copy(update=keys) for name, keys in updates.items()
    }
    config = config.model_copy(update=sections)
    identity = read_identity(config.backbone)
    return config, identity, list(store_targets(config, identity).values())


def _shards(target: StoreTarget) -> dict[str, bytes]:
    found = sorted(Path(target.path).rglob("shard-*.safetensors"))
    return {path.name: path.read_bytes() for path in found}


def _with(targets: list[StoreTarget], kind: type[Codec], **settings) -> list[StoreTarget]:
    """The same stores, encoded by a codec that kills."""
    return [replace(target, codec=kind(**vars(target.codec), **settings)) for target in targets]


@pytest.mark.ray
def test_a_worker_that_dies_in_mid_shard_costs_nothing(ray_cluster, unmade, tmp_path):
    """A run that hangs, fails, or ends with other bytes, because a machine has vanished."""
    config, identity, (target,) = unmade
    LocalWorkers().encode([target], identity, config)
    expected = _shards(target)
    shutil.rmtree(target.path)
    (tmp_path / "marks").mkdir()
    deadly = _with([target], _Deadly, marks=str(tmp_path / "marks"))
    make_stores(deadly, identity, config, RayCrew(config))
    assert (tmp_path / "marks" / "killed").exists()
    assert _shards(target) == expected
    assert len(expected) > 2
    (line,) = Path(target.path, "encode_log.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert entry["shards"] == len(expected)
    assert 0 <= entry["waited"] < 1
    assert (entry["device"], entry["attention_kernel"]) == ("cpu", "sdpa")


@pytest.mark.ray
@pytest.mark.slow
def test_a_page_that_kills_its_process_costs_that_page(ray_cluster, unmade):
    """Seventeen deaths in 75 s, and no end; or a whole shard left out for one page."""
    config, identity, (target,) = unmade
    LocalWorkers().encode([target], identity, config)
    whole = FeatureStore(target.path).pages
    wide = int(whole.num_tokens.argmax())
    shutil.rmtree(target.path)
    tokens = int(whole.num_tokens[wide])
    make_stores(_with([target], _Deadly, tokens=tokens), identity, config, RayCrew(config))
    lines = Path(target.path, "bad_pages.jsonl").read_text().splitlines()
    bad = {line["page_id"]: line["reason"] for line in map(json.loads, lines)}
    assert bad[whole.ids[wide].as_py()] == "encoding it kills the process"
    assert len(bad) == 2  # and the one that is no image
    assert len(FeatureStore(target.path).pages) == len(whole) - 1


@pytest.mark.ray
@pytest.mark.slow
def test_workers_that_die_at_their_start_end_the_run(ray_cluster, unmade):
    """Actors that are started again and again, for ever, without a word."""
    config, identity, targets = unmade
    with pytest.raises(WorkersDiedError, match="died 3 times in a row while it loaded"):
        make_stores(_with(targets, _DeadlyToLoad), identity, config, RayCrew(config))
