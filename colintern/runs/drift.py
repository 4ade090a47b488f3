"""Whether a configuration would still give what a run has recorded."""

from colintern.errors import DriftError
from colintern.runs.opened import OpenedRun
from colintern.runs.stages import Encode, recorded_stages, stages_of_round


def check_drift(run: OpenedRun) -> None:
    """Make sure that the configuration still gives every recorded stage.

    The inputs of rounds are read from the stores. While one that is recorded is gone, only encoding
    is checked: it makes the store again, and then every stage is checked as its turn comes.

    Raises:
        DriftError: it does not.
    """
    train, recorded = run.config.data.train.name, recorded_stages(run.config, run.folder)
    encoded = [stage for stage in recorded if isinstance(stage, Encode)]
    if Encode(train) not in encoded and _has_rounds(run):
        raise DriftError(
            f"{run.folder.path}: its rounds were trained on another dataset than "
            f"data.train={train}; set it back, or choose another run.name"
        )
    for stage in encoded:
        stage.check_drift(run)
    if all(run.targets[stage.dataset].is_finished() for stage in encoded):
        for stage in recorded:
            stage.check_drift(run)


def _has_rounds(run: OpenedRun) -> bool:
    stages = [stage for number in (0, 1) for stage in stages_of_round(run.config, number)]
    return any(stage.is_recorded(run.folder) for stage in stages)
