"""The settings in the report can be pasted, and say all that was changed."""

import yaml

from colintern.config.files import parse_config
from colintern.report.settings import changed_settings


def test_the_settings_give_the_same_run_and_no_more(tmp_path):
    """A run that differs when it is run again; two hundred lines of defaults."""
    document = {
        "data": {
            "train": {"path": "a/train", "name": "mine", "language": "en"},
            "dev_fraction": 0.2,
            "eval": [{"path": "a/test", "name": "test"}],
        },
        "backbone": {"path": "reader", "layer": [-1, 2]},
        "heads": {"layer_mix": True},
        "training": {"epochs": [1, 2]},
    }
    config = parse_config(document, "test")
    text = changed_settings(config)
    assert parse_config(yaml.safe_load(text), "pasted") == config
    assert yaml.safe_load(text)["training"] == {"epochs": [1, 2]}
    assert "mining" not in text
    assert len(text.splitlines()) < 30
