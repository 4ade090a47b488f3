"""The heads before any training: what round 1 starts from, and what round 0 measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from colintern import log, storage
from colintern.records.lease import Held
from colintern.records.run_folder import RunFolder
from colintern.runs.stages.inputs import heads_inputs
from colintern.runs.stages.stage import Made, Stage

if TYPE_CHECKING:
    from colintern.config.schema import Config
    from colintern.runs.opened import OpenedRun
    from colintern.runs.workers import Workers

# Earlier versions did not record this stage. Where one of these is recorded its heads stay: they
# are among the inputs of both.
_MADE_FROM_IT = ("round-0-evaluate-dev", "round-1-train")


@dataclass(frozen=True)
class UntrainedHeads(Stage):
    """Random heads, or those of `training.init_heads`."""

    @property
    def name(self) -> str:
        """What its record is called."""
        return "round-0-heads"

    def is_recorded(self, folder: RunFolder) -> bool:
        """Whether they are there for good; see `_MADE_FROM_IT`."""
        if super().is_recorded(folder):
            return True
        is_there = all(map(storage.exists, folder.head_files(0)))
        return is_there and any(storage.exists(folder.record_path(name)) for name in _MADE_FROM_IT)

    def inputs(self, run: OpenedRun) -> dict[str, Any]:
        """The settings of heads, and the hash of heads that are given."""
        given = {"init_heads_sha256": run.heads_hash(0)} if run.config.training.init_heads else {}
        return {**heads_inputs(run.config), **given}

    def make(self, run: OpenedRun, workers: Workers, held: Held) -> Made:
        """Write the heads that the settings give."""
        from colintern.model.heads import init_heads, load_heads, save_heads

        config, inputs = run.config, self.inputs(run)
        if config.training.init_heads:
            heads, _ = load_heads(config.training.init_heads)
        else:
            width = run.codec.width
            heads = init_heads(config.heads, width, config.run.seed, config.backbone.num_layers)
            _say_too_wide(config, width)
        held.check()
        save_heads(heads, run.folder.heads(0), run.heads_info)
        return Made(inputs, run.folder.described(run.folder.head_files(0)))


def _say_too_wide(config: Config, width: int) -> None:
    """Warn of numbers that stay 0: a projection adds nothing to what it is given."""
    width //= config.backbone.num_layers if config.heads.layer_mix else 1
    if config.heads.kind == "linear" and config.heads.dim > width:
        log.warn_once(
            "heads",
            f"heads.dim={config.heads.dim} is more than the {width} numbers of a token's features; "
            f"the others stay 0: heads.dim={width} gives the same scores in less space",
        )
