"""The schema: what belongs together, and its reference."""

import json
from pathlib import Path
from typing import Annotated

import pytest
import yaml

from colintern.config.files import load_config, parse_config
from colintern.config.schema import ADDED_LATER, Config, FeaturesConfig, Section, dataset_of
from colintern.errors import ConfigError

ROOT = Path(__file__).parents[2]


def test_the_reference_lists_every_key_with_its_default():
    """A key that nobody can find, or a documented default that is not the real one."""
    text = (ROOT / "configs" / "reference.yaml").read_text()
    document = yaml.safe_load(text)
    given = {key: document["data"][key] for key in ("train", "dev", "eval")}
    defaults = Config.model_validate({"data": given}).model_dump(mode="json")
    found = load_config(str(ROOT / "configs" / "reference.yaml")).model_dump(mode="json")
    for section, fields in Config.model_fields.items():
        keys = fields.annotation.model_fields  # pyright: ignore
        assert set(document[section]) == set(keys), section
        assert found[section] == defaults[section]
    lines = [line for line in text.splitlines() if line.startswith("  ") and line.strip()]
    undocumented = [line for line in lines if "#" not in line]
    assert undocumented == []


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"num_workers": 8, "global_batch": 4}, r"global_batch \(4\): .* would idle"),
        ({"num_workers": 0, "strategy": "deepspeed"}, "needs num_workers of 1 or more"),
    ],
)
def test_workers_that_would_have_nothing_to_do_are_refused(keys, words):
    """Processes, and GPUs, that are paid for and wait in every step of a round."""
    with pytest.raises(ConfigError, match=words):
        parse_config({"data": {"train": "demo"}, "training": keys}, "test")


def test_layers_are_not_mixed_after_they_were_reduced_together():
    """Weights of layers over numbers that belong to all layers at once."""
    document = {"data": {"train": "demo"}, "backbone": {"layer": [-1, 0]}}
    reduced = FeaturesConfig.model_construct(pca_dim=8)
    assert parse_config({**document, "features": reduced}, "test").backbone.layer == (-1, 0)
    with pytest.raises(ConfigError, match=r"^test: heads\.layer_mix: .* features\.pca_dim=8"):
        parse_config({**document, "features": reduced, "heads": {"layer_mix": True}}, "test")


def test_a_key_added_later_counts_only_when_it_is_set():
    """A new key that drifts every recorded run, or one whose value nobody notices."""

    class Grown(Section):
        old: int = 1
        new: Annotated[int | None, ADDED_LATER] = None

    assert Grown().as_inputs() == {"old": 1}
    assert Grown(new=2).as_inputs() == {"old": 1, "new": 2}


@pytest.mark.parametrize("section", ["backbone", "heads", "training", "mining"])
def test_every_key_that_the_first_runs_lack_is_marked(section):
    """A key that was added without a thought for the runs and stores that there are."""
    run = ROOT / "tests" / "data" / "recorded-3bf57ee" / "runs" / "run" / "run.json"
    first = json.loads(run.read_text())["config"][section].keys()
    model = Config.model_fields[section].annotation
    assert isinstance(model, type)
    assert issubclass(model, Section)
    marked = {name for name, field in model.model_fields.items() if ADDED_LATER in field.metadata}
    assert model.model_fields.keys() - first == marked


def test_a_dataset_that_the_run_does_not_have_is_not_the_training_set():
    """A mistyped name that reads the training set without a word."""
    data = parse_config({"data": {"train": "a", "eval": ["b"]}}, "test").data
    assert [dataset_of(data, name).path for name in ("a", "b", "dev")] == ["a", "b", "a"]
    with pytest.raises(ValueError, match="c: is no dataset of this run"):
        dataset_of(data, "c")
