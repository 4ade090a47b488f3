"""What was measured beside the rounds, baselines and ladders: what of it still holds.

They are made by commands of their own, so the rounds can be measured again, or trained again,
without them. Their figures then stand for other answers of people, or for heads that are gone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from colintern.config.schema import Config, evaluated_names
from colintern.records.run_folder import RunFolder, baseline_stage, ladder_stage
from colintern.runs.baselines import recorded_baselines
from colintern.runs.ladders import recorded_ladders
from colintern.runs.stages.evaluate import Evaluate
from colintern.runs.stages.inputs import JUDGED, JUDGEMENTS
from colintern.runs.stages.train import Train

_HEADS = ("baseline.heads_sha256", "ladder.heads_sha256")


@dataclass(frozen=True)
class BesideRounds:
    """Baselines and ladders of a run.

    Attributes:
        baselines: for each evaluated dataset the names of those that hold, as tables order them.
        ladders: the datasets that have a ladder that holds.
        outdated: what does not hold, each in a few words.
    """

    baselines: Mapping[str, Sequence[str]]
    ladders: Sequence[str]
    outdated: Sequence[str]

    @property
    def remark(self) -> str:
        """That something is not shown, and what to do; empty where all is."""
        if not self.outdated:
            return ""
        return (
            "Not shown, as measured with other answers or heads than the rounds: "
            f"{', '.join(self.outdated)}. Measure again with the same command."
        )


def beside_rounds(config: Config, folder: RunFolder) -> BesideRounds:
    """What is recorded beside the rounds of a run, apart by whether it holds."""
    names = evaluated_names(config.data)
    baselines: dict[str, list[str]] = {}
    ladders: list[str] = []
    outdated: list[str] = []
    for dataset, found in recorded_baselines(folder, names).items():
        baselines[dataset] = []
        for name in found:
            if _holds(folder, baseline_stage(name, dataset), dataset):
                baselines[dataset].append(name)
            else:
                outdated.append(f"baseline {name} on {dataset}")
    for dataset in recorded_ladders(folder, names):
        if _holds(folder, ladder_stage(dataset), dataset):
            ladders.append(dataset)
        else:
            outdated.append(f"ladder of {dataset}")
    return BesideRounds(baselines, ladders, outdated)


def _holds(folder: RunFolder, stage: str, dataset: str) -> bool:
    """Whether the rounds stand for the same answers, and the run for the same heads."""
    record, start = folder.record(stage), folder.record(Evaluate(0, dataset).name)
    if record is None or start is None or not start.inputs:  # an early version noted no inputs
        return True
    if record.inputs.get(JUDGEMENTS) != start.inputs.get(JUDGED, start.inputs.get(JUDGEMENTS)):
        return False
    heads = [record.inputs[key] for key in _HEADS if key in record.inputs]
    return set(heads) <= {start.inputs.get("heads_sha256"), *_trained(folder)}


def _trained(folder: RunFolder) -> Iterator[str | None]:
    """The hashes of what all rounds have trained."""
    for number in count(1):
        record = folder.record(Train(number).name)
        if record is None:
            return
        yield from (output.sha256 for output in record.outputs)
