"""Inputs that several kinds of stages share.

Keys that only say how fast or where (`cluster.*`, worker counts), how long to go on (`loop.*`) or
how to measure (`evaluation.*`) are no inputs and may change at any time; what was measured
otherwise is measured again. A key that came after a run was recorded counts as its default there
(`config.schema.Section.as_inputs`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from colintern import storage
from colintern.config.schema import DEV, Config
from colintern.data.added_judgements import added_judgements

if TYPE_CHECKING:
    from colintern.runs.opened import OpenedRun

JUDGEMENTS, JUDGED = "data.judgements", "judgements_sha256"
INIT_HEADS = "training.init_heads"


def split_inputs(config: Config) -> dict[str, Any]:
    """The seed, and the share of dev queries when they are taken from the training set."""
    fraction = None if config.data.dev else config.data.dev_fraction
    return {"run.seed": config.run.seed, "data.dev_fraction": fraction}


def judgement_inputs(config: Config, dataset: str) -> dict[str, Any]:
    """What people say of a dataset that is trained on or decides, by a hash; nothing if nothing."""
    added = added_judgements(config.data, dataset)
    return {JUDGEMENTS: added.sha256} if added else {}


def judged_inputs(config: Config, dataset: str) -> dict[str, Any]:
    """What people say of a test set, which may change at any time; nothing of dev."""
    added = added_judgements(config.data, dataset) if dataset != DEV else None
    return {JUDGED: added.sha256} if added else {}


def heads_inputs(config: Config) -> dict[str, Any]:
    """The settings that the untrained heads depend on; those given by their path below the root."""
    root, given = storage.absolute(config.run.root), config.training.init_heads
    return {
        "run.seed": config.run.seed,
        INIT_HEADS: given and (storage.inside(storage.absolute(given), root) or given),
        **{f"heads.{key}": value for key, value in config.heads.as_inputs().items()},
    }


def held_out_inputs(run: OpenedRun) -> dict[str, Any]:
    """The training pages that answer a dev set of its own; nothing where there are none."""
    pages = run.held_out_hash()
    return {} if pages is None else {"held_out_pages_sha256": pages}
