"""Whether a configuration would still give what a run has recorded."""

from colintern import storage
from colintern.errors import DriftError
from colintern.runs import stages
from colintern.runs.opened import OpenedRun
from colintern.runs.stages import Encode, Stage
from colintern.runs.stages.inputs import JUDGEMENTS


def check_drift(run: OpenedRun, judgements: str | None = None) -> None:
    """Make sure that the configuration still gives every recorded stage.

    The settings of all of them are compared first: they need nothing that may be missing. The other
    inputs of rounds are read from the stores. While one of these is gone, or a stage that a
    recorded one is made from, they are checked as the turn of each stage comes.

    Args:
        run: the run.
        judgements: `data.judgements` as the user gave it, for the message.

    Raises:
        DriftError: it does not.
    """
    train = run.config.data.train.name
    listed = stages.stages_to_check(run.config, run.folder)
    recorded = stages.recorded_stages(run.config, run.folder)
    if Encode(train) not in recorded and _has_rounds(run):
        raise DriftError(
            f"{run.folder.path}: its rounds were trained on another dataset than "
            f"data.train={train}; set it back, or choose another run.name"
        )
    for stage in listed:
        _check_judgements(run, stage, judgements)
    for stage in listed:
        if stage.needs(run.config):
            stage.check_settings(run)
        else:
            stage.check_drift(run)
    encoded = [stage for stage in recorded if isinstance(stage, Encode)]
    if all(run.targets[stage.dataset].is_finished() for stage in encoded):
        for stage in recorded:
            stage.check_drift(run)


def _check_judgements(run: OpenedRun, stage: Stage, given: str | None) -> None:
    """Make sure that people say now what a recorded stage was made from.

    Raises:
        DriftError: they do not; the message says how to go on with what they say now.
    """
    record = run.folder.record(stage.name)
    now = stage.settings(run.config).get(JUDGEMENTS)
    if record is None or not record.inputs or record.inputs.get(JUDGEMENTS) == now:
        return
    before, value = run.folder.read().config.data.judgements, given or "null"
    go_on = (
        "to go on from its best heads with these judgements: colintern run "
        f"--continue-from {run.folder.path} run.name=NEW data.judgements={value}"
    )
    raise DriftError(
        f"data.judgements={value}: stage {stage.name} of {run.folder.path} is made from other "
        f"judgements; set data.judgements={before or 'null'} back, or "
        f"{go_on if storage.exists(run.folder.loop_json) else 'choose another run.name'}"
    )


def _has_rounds(run: OpenedRun) -> bool:
    early = [stage for number in (0, 1) for stage in stages.stages_of_round(run.config, number)]
    return any(stage.is_recorded(run.folder) for stage in early)
