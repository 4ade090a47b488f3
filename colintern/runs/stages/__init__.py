"""The stages of a run: each kind in a file of its own, and the one list of them.

The loop, `status`, the check for drift, the single commands and the report walk this list. A new
kind of stage is a file here and a line in the list.

`colintern status`, and mistakes that are told before any work, need the list at once and torch not
at all: a stage imports what only its work needs where it does its work.
"""

from itertools import chain, count

from colintern import storage
from colintern.config.schema import Config, datasets, evaluated_names
from colintern.records.run_folder import RunFolder
from colintern.runs.stages.encode import Encode
from colintern.runs.stages.evaluate import Evaluate
from colintern.runs.stages.mine import Mine, mines
from colintern.runs.stages.report import Report
from colintern.runs.stages.stage import Made, Stage
from colintern.runs.stages.train import Train
from colintern.runs.stages.untrained import UntrainedHeads

__all__ = [
    "Encode",
    "Evaluate",
    "Made",
    "Mine",
    "Report",
    "Stage",
    "Train",
    "UntrainedHeads",
    "last_round",
    "recorded_stages",
    "stages_after_rounds",
    "stages_before_rounds",
    "stages_of",
    "stages_of_round",
    "stages_to_check",
]


def stages_before_rounds(config: Config) -> list[Stage]:
    """What every round is made from."""
    return [*(Encode(dataset.name) for dataset in datasets(config.data)), UntrainedHeads()]


def stages_of_round(config: Config, round_number: int) -> list[Stage]:
    """One round in the order of its work; round 0 only measures the untrained heads."""
    return [
        *([Mine(round_number)] if mines(config, round_number) else []),
        *([Train(round_number)] if round_number else []),
        *(Evaluate(round_number, name) for name in evaluated_names(config.data)),
    ]


def stages_after_rounds() -> list[Stage]:
    """What is made of all that is recorded, and made again when that changes."""
    return [Report()]


def stages_of(config: Config, last_round: int) -> list[Stage]:
    """All stages of a run that ends with `last_round`, each behind what it is made from."""
    rounds = (stages_of_round(config, number) for number in range(last_round + 1))
    return [*stages_before_rounds(config), *chain.from_iterable(rounds), *stages_after_rounds()]


def last_round(config: Config, folder: RunFolder) -> int:
    """The round at which the loop has stopped, or may at the latest."""
    if storage.exists(folder.loop_json):
        last = storage.read_json(folder.loop_json)["rounds"][-1]
        if last["decision"] == "stop":
            return last["round"]
    return config.loop.max_rounds


def recorded_stages(config: Config, folder: RunFolder) -> list[Stage]:
    """The stages that are recorded, with all that they are made from, in the order of the list.

    Those that stand after the rounds are left out: they are made of just these.
    """
    found: list[Stage] = []
    for stage in stages_to_check(config, folder):
        is_whole = all(needed in found for needed in stage.needs(config))
        if is_whole and stage.is_recorded(folder):
            found.append(stage)
    return found


def stages_to_check(config: Config, folder: RunFolder) -> list[Stage]:
    """Every stage that may be recorded, in the order of the list, but for those after the rounds.

    What one is made from may be missing: a dev set of its own that is new, say.
    """
    last = next(number for number in count(1) if not Train(number).is_recorded(folder))
    after = set(stages_after_rounds())
    # Of round `last` perhaps the negatives are recorded.
    return [stage for stage in stages_of(config, last) if stage not in after]
