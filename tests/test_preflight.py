"""What is told about a configuration before any long work starts."""

from colintern.config_file import parse_config
from colintern.preflight import unused_settings


def test_settings_without_effect_are_told(tmp_path):
    """A knob that is turned for days and moves nothing."""
    quiet = {"data": {"train": "demo", "dev": "demo"}, "mining": {"search": "exact"}}
    assert unused_settings(parse_config(quiet, "test")) == []
    data = {**quiet["data"], "dev_fraction": 0.2}
    mining = {"search": "exact", "candidates": 5, "num_negatives": 4}
    told = unused_settings(parse_config({"data": data, "mining": mining}, "test"))
    assert [line.split()[0] for line in told] == ["data.dev_fraction", "mining.candidates"]
    pinned = {"revision": "0" * 40, "language": "en", "split": "test"}
    folder, url = {"path": str(tmp_path), **pinned}, {"path": "s3://bucket/set", **pinned}
    hub = {"path": "vidore/a", **pinned}
    data = {"train": folder, "dev": hub, "eval": [{"path": "demo", **pinned}, url]}
    told = unused_settings(parse_config({"data": data}, "test"))
    assert [line.split()[0] for line in told] == [
        "data.train.revision",
        "data.eval.0.revision",
        "data.eval.0.language",
        "data.eval.1.revision",
    ]
