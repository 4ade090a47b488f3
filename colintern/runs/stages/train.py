"""One round of training: the heads of the round before become those of this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from colintern.config.schema import Config
from colintern.records.lease import Held
from colintern.runs.stages.encode import training_stores
from colintern.runs.stages.inputs import (
    heads_inputs,
    held_out_inputs,
    judgement_inputs,
    split_inputs,
)
from colintern.runs.stages.mine import Mine, mines
from colintern.runs.stages.stage import Made, Stage
from colintern.runs.stages.untrained import UntrainedHeads
from colintern.runtime.resources import request_of

if TYPE_CHECKING:
    from colintern.runs.opened import OpenedRun
    from colintern.runs.workers import Workers

# They say how fast, how often to save or how long to go on; the heads stay the same. What
# `init_heads` and `epochs` give is an input under another name.
_FREE_KEYS = {"num_workers", "checkpoint_every_steps", "init_heads", "epochs"}


@dataclass(frozen=True)
class Train(Stage):
    """Trains the heads of a round, from 1."""

    round_number: int
    workers_setting: ClassVar[str | None] = "training.num_workers"
    first_round: ClassVar[int | None] = 1

    @property
    def name(self) -> str:
        """What its record is called."""
        return f"round-{self.round_number}-train"

    @property
    def command(self) -> str:
        """The words after `colintern` that make it."""
        return f"train --round {self.round_number}"

    def needs(self, config: Config) -> list[Stage]:
        """The stores, the mined negatives of a later round, and the heads to start from."""
        number = self.round_number
        return [
            *training_stores(config),
            *([Mine(number)] if mines(config, number) else []),
            trained_heads(number - 1),
        ]

    def settings(self, config: Config) -> dict[str, Any]:
        """The split, what people judge, how the round is trained; in round 1 its first heads."""
        number, training = self.round_number, config.training.as_inputs()
        keys = {key: value for key, value in training.items() if key not in _FREE_KEYS}
        if number == 1:
            del keys["negatives_per_query"]  # the first round has no mined negatives
        return {
            **split_inputs(config),
            **judgement_inputs(config, config.data.train.name),
            **{f"training.{key}": value for key, value in keys.items()},
            "training.epochs": config.training.epochs_of_round(number),
            **(heads_inputs(config) if number == 1 else {}),
        }

    def inputs(self, run: OpenedRun) -> dict[str, Any]:
        """All that it would be made from now."""
        config, number = run.config, self.round_number
        return {
            **self.settings(config),
            **held_out_inputs(run),
            "first_heads_sha256": run.heads_hash(number - 1),
            "train_features_sha256": run.features_hash(config.data.train.name),
            "triples_sha256": run.triples_hash(number) if mines(config, number) else None,
        }

    def make(self, run: OpenedRun, workers: Workers, held: Held) -> Made:
        """Train on the workers, which write heads and log."""
        from colintern.runs.progress import telling_steps
        from colintern.training.loop import RoundTask

        inputs, config, number = self.inputs(run), run.config, self.round_number
        run.catalog.check_pages_differ()
        task = RoundTask(
            round_number=number,
            seed=config.run.seed,
            catalog=run.catalog,
            training=config.training,
            first_heads=run.folder.heads(number - 1),
            triples=run.folder.triples(number) if mines(config, number) else None,
            info=run.heads_info,
            heads_folder=run.folder.heads(number),
            log_path=run.folder.train_log(number),
        )
        with telling_steps(number) as show:
            workers.train(task, request_of(self, config), held, show)
        written = [*run.folder.head_files(number), task.log_path]
        return Made(inputs, run.folder.described(written))


def trained_heads(round_number: int) -> Stage:
    """The stage that makes the heads of a round."""
    return Train(round_number) if round_number else UntrainedHeads()
