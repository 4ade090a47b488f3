"""One recipe brings stores up to date, whoever encodes."""

import json
from pathlib import Path

from colintern import storage
from colintern.features.making import make_stores
from colintern.features.progress import ENCODE_LOG
from colintern.model.backbone import read_identity
from colintern.runs.local import LocalWorkers
from colintern.runs.stores import store_targets
from tests.features.helpers import config_of
from tests.helpers import corpus_of, make_corpus, png


def _made(root: Path, crew=None) -> Path:
    """The store of `root/set`, brought up to date."""
    config = config_of(root, "random")
    features = config.features.model_copy(update={"shard_bytes": 200_000})
    config = config.model_copy(update={"features": features})
    identity = read_identity(config.backbone)
    (target,) = store_targets(config, identity).values()
    if crew is None:
        LocalWorkers().encode([target], identity, config)
    else:
        make_stores([target], identity, config, crew)
    return Path(target.path)


class _NoCrew:
    """Whoever has it list or encode fails."""

    device = "cpu"
    list_pages = encode = None


def test_a_second_run_reads_nothing_of_finished_shards(tmp_path, monkeypatch):
    """Every shard of a store read, or its corpus listed, to find that there is nothing to do."""
    make_corpus(tmp_path / "set", num_pages=12, num_queries=8)
    store = _made(tmp_path)
    read: list[str] = []

    def counted(function):
        return lambda path, *rest, **options: read.append(path) or function(path, *rest, **options)

    for name in ("read_bytes", "read_bytes_if_there", "open_file"):
        monkeypatch.setattr(storage, name, counted(getattr(storage, name)))
    read_pieces = storage.read_pieces
    monkeypatch.setattr(
        storage,
        "read_pieces",
        lambda pieces: read.extend(piece.path for piece in pieces) or read_pieces(pieces),
    )
    assert _made(tmp_path, _NoCrew()) == store
    assert read
    assert not [path for path in read if path.endswith(".safetensors")]
    assert len((store / ENCODE_LOG).read_text().splitlines()) == 1


def test_each_start_that_encoded_something_is_a_line(tmp_path):
    """The time that a store took, known to nobody an hour later; or lost as the store grows."""
    images = [png(seed) for seed in range(9)]
    corpus_of(tmp_path / "set", images[:6], 4)
    _made(tmp_path)
    corpus_of(tmp_path / "set", images, 4)
    store = _made(tmp_path)
    lines = [json.loads(line) for line in (store / ENCODE_LOG).read_text().splitlines()]
    assert [line["items"] for line in lines] == [6 + 4, 3]
    assert all(line["seconds"] > 0 and line["shards"] for line in lines)
    assert lines[0]["finished_at"] <= lines[1]["started_at"]
