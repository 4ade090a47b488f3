"""How the features of a store were computed: noted in its log, which is no part of its record.

A store has the same bytes whoever encodes it, as far as hardware allows; where it was encoded is
told beside it. Earlier versions noted nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING

from colintern import storage
from colintern.features.progress import ENCODE_LOG

if TYPE_CHECKING:
    from colintern.model.backbone import FrozenBackbone

UNKNOWN = "unknown"
_PACKAGES = ("torch", "transformers")
_KEYS = ("device", "compute_dtype", "attention_kernel", *_PACKAGES)


def provenance_of(backbone: FrozenBackbone) -> dict[str, str]:
    """What is noted of features that this model computes."""
    return {
        "device": backbone.device,
        "compute_dtype": backbone.compute_dtype,
        "attention_kernel": backbone.attention_kernel,
        **{package: version(package) for package in _PACKAGES},
    }


def together(noted: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The same of several workers, or starts: each value once, such as `cpu, cuda`."""
    values: dict[str, set[str]] = {key: set() for key in _KEYS}
    for one in noted:
        for key, known in values.items():
            known.add(one.get(key, UNKNOWN))
    return {key: ", ".join(sorted(known)) or UNKNOWN for key, known in values.items()}


def read_provenance(store: str) -> dict[str, str]:
    """How a store was computed, from all starts that have written a shard of it.

    Args:
        store: its folder; where it has no log, all is `unknown`.
    """
    log = storage.read_bytes_if_there(storage.join(store, ENCODE_LOG)) or b""
    return together(json.loads(line) for line in log.splitlines())
