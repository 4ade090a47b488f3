"""The commented file for somebody's own pages, as `colintern init` writes it."""

from pathlib import Path

import pytest

from colintern.config.files import load_config
from colintern.config.own import own_settings

ROOT = Path(__file__).parents[2]


def test_the_example_is_what_init_writes():
    """Two texts for one file, of which one is forgotten."""
    made_by = ["colintern ingest ... --out data/mine --queries questions.csv"]
    text = own_settings("configs/own.yaml", "mine", {"path": "data/mine"}, made_by, use_gpu=False)
    assert (ROOT / "configs" / "own.yaml").read_text() == text


@pytest.mark.parametrize("use_gpu", [False, True])
@pytest.mark.parametrize(
    "train",
    [
        "data/a b",
        "data: x",
        "größe #1",
        "'quoted\"",
        "1e3",
        "null",
        "~",
        "- a",
        "{b}",
        "a\\n",
        "$x",
    ],
)
def test_any_path_is_read_back_as_it_is(tmp_path, train, use_gpu):
    """A path with a colon or `#` that YAML takes for something else; a setting that is refused."""
    path = tmp_path / "own.yaml"
    for chosen in ({}, {"split": "test", "config": train}):
        chosen = {"path": train, **chosen}
        path.write_text(own_settings(str(path), "123", chosen, [], use_gpu=use_gpu))
        config = load_config(str(path))
        assert config.data.train.model_dump(include=chosen.keys()) == chosen
    assert (config.data.train.path, config.run.name) == (train, "123")
    assert config.cluster.use_gpu == use_gpu
    assert (config.backbone.path == "reader-print") != use_gpu
    assert (config.backbone.revision is None) != use_gpu
    assert all(
        model in path.read_text() for model in ("`reader-print`", "OpenGVLab/InternVL3-1B-hf")
    )
