"""Checkpoint folders that tests look into and change."""

import json
from pathlib import Path

from safetensors.torch import load_file

from colintern.config.schema import BackboneConfig


def backbone_at(folder) -> BackboneConfig:
    """The settings for a backbone in a folder."""
    return BackboneConfig(path=str(folder))


def change_json(folder, file: str, *part: str, **changes) -> None:
    """Set keys of a JSON document, or of a part of it; None removes one."""
    document = json.loads((folder / file).read_text())
    section = document
    for key in part:
        section = section[key]
    section.update({key: value for key, value in changes.items() if value is not None})
    for key in (key for key, value in changes.items() if value is None):
        section.pop(key, None)
    (folder / file).write_text(json.dumps(document))


def file_with(folder, ending: str) -> tuple[Path, str]:
    """The weight file with a weight whose name ends so, and the name."""
    for file in sorted(folder.glob("*.safetensors")):
        for name in load_file(file):
            if name.endswith(ending):
                return file, name
    raise AssertionError(f"no weight {ending}")
