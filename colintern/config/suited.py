"""The backbones that are advised for real pages, each with the settings that go with it."""

from collections.abc import Mapping
from typing import Any

from colintern.config.pinned import ADVISED, known
from colintern.config.schema import READER_PRINT


def suited(backbone: str) -> dict[str, Any]:
    """Settings by their keys; they have the same keys for each of the two.

    Args:
        backbone: `READER_PRINT`, or `ADVISED`, a pretrained model.
    """
    return {
        READER_PRINT: {
            "backbone.path": READER_PRINT,
            "backbone.revision": None,
            "backbone.max_tiles": 24,  # ten-point text of an A4 page is 15 pixels then
            "backbone.pad_to_grid": True,  # and that of a letter page as well
            "heads.shared": True,  # questions and pages are in one space from the start
            "heads.dim": 192,  # all numbers that it has: heads begin as the identity
            "training.learning_rate": 0.0001,  # little has to change
            "mining.relative_margin": 0.0,  # drafted questions quote their page: no other is right
        },
        ADVISED: {
            "backbone.path": ADVISED,
            "backbone.revision": known()[ADVISED].revision,
            "backbone.max_tiles": 6,
            "backbone.pad_to_grid": False,
            "heads.shared": False,
            "heads.dim": 128,
            "training.learning_rate": 0.002,
            "mining.relative_margin": 0.05,
        },
    }[backbone]


def overrides(settings: Mapping[str, Any]) -> str:
    """Settings by their keys as `a.b=c` arguments."""
    return " ".join(f"{key}={as_yaml(value)}" for key, value in settings.items())


def remedy(backbone: str) -> str:
    """What to type to have a backbone that reads more than this one does.

    Args:
        backbone: a built-in one.
    """
    advised = f"`colintern download {ADVISED}`, then {overrides(suited(ADVISED))}"
    if backbone == READER_PRINT:
        return advised
    return f"{overrides(suited(READER_PRINT))} for printed English, or {advised}"


def as_yaml(value: str | float | bool | None) -> str:
    """A value as a configuration has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)
