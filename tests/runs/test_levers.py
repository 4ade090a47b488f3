"""The levers of the frozen backbone: what a run makes of layers and attention."""

import json
from pathlib import Path

from safetensors.torch import load_file

from colintern.config.schema import Config
from colintern.model.backbone import read_identity
from colintern.model.heads import load_heads
from colintern.runs import loop
from colintern.runs.local import LocalWorkers
from colintern.runs.stores import store_targets
from tests.local_run import make_config, search


def _config(root: Path, name: str, backbone: dict, **heads) -> Config:
    training = {"epochs": 2, "global_batch": 8, "learning_rate": 0.02}
    return make_config(
        root,
        run={"name": name},
        backbone=backbone,
        heads=heads,
        training=training,
        loop={"max_rounds": 1},
    )


def _stores(config: Config) -> set[str]:
    targets = store_targets(config, read_identity(config.backbone))
    return {target.path for target in targets.values()}


def test_a_run_mixes_layers_of_a_backbone_that_attends_in_both_directions(tmp_path):
    """A lever that reaches the features or the heads, and not training, search or the records."""
    levers = {"layer": [-1, 0], "attention": "bidirectional"}
    folder = loop.run(_config(tmp_path, "mixed", levers, layer_mix=True), LocalWorkers())
    weights = load_file(f"{folder.heads(1)}/heads.safetensors")
    assert weights["layer_mix.weight"].abs().min() > 0.01  # it has moved from zero
    _, info = load_heads(folder.heads(1))
    assert info.features_width == 2 * weights["query.weight"].shape[1]
    lines = Path(folder.train_log(1)).read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert losses[-1] < losses[0]
    assert search(folder.path, "question 1 of many", 3, "test")


def test_other_features_are_another_store(tmp_path):
    """Features of one layer, attention or grid, taken for those of another."""
    levers = (
        {},
        {"layer": [-1, 0]},
        {"layer": [0, -1]},
        {"attention": "bidirectional"},
        {"pad_to_grid": True},
    )
    stores = [_stores(_config(tmp_path, "run", lever)) for lever in levers]
    assert all(len(paths) == 2 for paths in stores)
    assert len(set.union(*stores)) == 10
    defaults = {"layer": -1, "attention": "causal", "pad_to_grid": False}
    assert _stores(_config(tmp_path, "run", defaults)) == stores[0]
