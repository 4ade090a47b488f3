"""The settings of a run as they can be pasted into a file: those that are not at their defaults."""

from typing import Any

import yaml
from pydantic import BaseModel

from colintern.config.schema import Config

_ALWAYS = {"path", "name"}  # of a dataset; a reader looks for both


def changed_settings(config: Config) -> str:
    """YAML of all settings that differ from the defaults, with the datasets of the run.

    It can be given to `colintern run --config`.
    """
    data = config.data
    datasets: dict[str, Any] = {"train": _dataset(data.train)}
    if data.dev:
        datasets["dev"] = _dataset(data.dev)
    if data.eval:
        datasets["eval"] = [_dataset(dataset) for dataset in data.eval]
    datasets |= {
        key: value for key, value in _changed(data).items() if key not in ("train", "dev", "eval")
    }
    found = {"data": datasets}
    for name in type(config).model_fields:
        if name != "data" and (section := _changed(getattr(config, name))):
            found[name] = section
    return yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=100)


def _dataset(dataset: BaseModel) -> dict[str, Any]:
    changed = _changed(dataset)
    return {
        key: value for key, value in dataset.model_dump(mode="json").items() if key in _ALWAYS
    } | {key: value for key, value in changed.items() if key not in _ALWAYS}


def _changed(section: BaseModel) -> dict[str, Any]:
    """The keys of a section whose values are not their defaults, as plain values."""
    fields = type(section).model_fields
    values = section.model_dump(mode="json")
    return {
        name: values[name]
        for name, field in fields.items()
        if field.is_required()
        or getattr(section, name) != field.get_default(call_default_factory=True)
    }
