"""The loop: encode once; train, evaluate, mine; again until dev does not gain any more."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

from colintern import log, storage
from colintern.config.schema import DEV, Config, evaluated_names
from colintern.errors import UserError
from colintern.records.run_folder import RunFolder
from colintern.runs import stages
from colintern.runs.runner import SOME_CONFIG, Runner, open_run
from colintern.runs.stages import Encode, Evaluate, Mine, Stage, Train
from colintern.runs.workers import Workers

if TYPE_CHECKING:
    from colintern.evaluation.decision import RoundDecision


def run(config: Config, workers: Workers | None = None) -> RunFolder:
    """Run the whole loop, or what is missing of it.

    Args:
        config: as it was read.
        workers: who does the work; None takes those of a Ray cluster, see `open_run`.

    Returns:
        The finished run folder.

    Raises:
        ColInternError: a mistake of the user's, told before any long work starts where that is
            possible, or a failure.
    """
    if config.loop.max_rounds > 1:
        _say_unmined(config)
    with open_run(config, workers=workers) as runner:
        config = runner.run.config
        _say_where_it_goes_on(runner)
        _do_before_rounds(runner)
        _do_round(runner, 0)
        for number in range(1, config.loop.max_rounds + 1):
            _do_round(runner, number)
            if _decide(runner, number).decision == "stop":
                _measure_from(runner, number + 1)  # left of a start with more rounds
                break
        _say_whether_training_helped(runner)
        for stage in stages.stages_after_rounds():
            runner.do(stage)
        return runner.run.folder


def encode(config: Config, workers: Workers | None = None) -> None:
    """Encode every dataset; arguments as of `run`."""
    with open_run(config, [Encode], workers) as runner:
        if not _do_before_rounds(runner, Encode):
            log.say("run", "all datasets are encoded; nothing to do")


def run_round(
    config: Config,
    kind: type[Stage],
    round_number: int | None = None,
    workers: Workers | None = None,
    given: str = SOME_CONFIG,
) -> None:
    """Do the stages of one kind in one round.

    Args:
        config: as it was read.
        kind: which stages, such as `Train`.
        round_number: which round; None takes the first where one of them is not done.
        workers: as of `run`.
        given: how the settings were given on the command line, for messages.

    Raises:
        UserError: there is no such round.
        MissingStageError: a stage that has to come first is not recorded.
    """
    if kind is Mine and _say_unmined(config):
        return
    with open_run(config, [kind], workers, given) as runner:
        config, folder = runner.run.config, runner.run.folder
        if round_number is not None:
            _check_round(config, kind, round_number)
        number = _first_undone(runner, kind) if round_number is None else round_number
        runner.check_ready([] if number is None else _of_kind(config, number, kind))
        if number is None:
            last = stages.last_round(config, folder)
            log.say("run", "the rounds up to %d are done; nothing to do", last)
        elif not any([runner.do(stage) for stage in _of_kind(config, number, kind)]):
            log.say("run", "round %d is done; nothing to do", number)
        if kind is Evaluate:
            _measure_from(runner, 0)  # with other settings of evaluation than before


# The parts of the loop


def _check_round(config: Config, kind: type[Stage], number: int) -> None:
    first, last = _first_round(kind), config.loop.max_rounds
    if number < first:
        raise UserError(f"--round {number}: this stage begins with round {first}")
    if number > last:
        raise UserError(f"--round {number}: the run ends with round {last} (loop.max_rounds)")


def _first_undone(runner: Runner, kind: type[Stage]) -> int | None:
    """The first round that is still to be done; None behind the one at which the loop stops."""
    config, folder = runner.run.config, runner.run.folder
    for number in range(_first_round(kind), stages.last_round(config, folder) + 1):
        if not all(_is_made(runner, stage) for stage in _of_kind(config, number, kind)):
            return number
    return None


def _first_round(kind: type[Stage]) -> int:
    if kind.first_round is None:
        raise ValueError(f"{kind.__name__}: is no stage of a round")
    return kind.first_round


def _is_made(runner: Runner, stage: Stage) -> bool:
    config, folder = runner.run.config, runner.run.folder
    return stage.is_there(folder) and stage.is_as_asked(config, folder)


def _say_where_it_goes_on(runner: Runner) -> None:
    """Say what a run that was started before does not do again."""
    config, folder = runner.run.config, runner.run.folder
    listed = stages.stages_of(config, stages.last_round(config, folder))
    missing = [stage for stage in listed if not _is_made(runner, stage)]
    if not missing:
        log.say("run", "all %d stages are recorded", len(listed))
    elif len(missing) < len(listed):
        num_done, first = len(listed) - len(missing), missing[0].name
        log.say("run", "%d of %d stages are done; continuing with %s", num_done, len(listed), first)


def _do_before_rounds(runner: Runner, kind: type[Stage] = Stage) -> bool:
    """Do the stages of one kind that come before all rounds; whether a dataset was encoded."""
    from colintern.runs.sets import note_sets

    is_encoded_now = False
    for stage in stages.stages_before_rounds(runner.run.config):
        if isinstance(stage, kind):
            is_done_now = runner.do(stage)
            is_encoded_now |= is_done_now and isinstance(stage, Encode)
    if is_encoded_now:
        runner.run.catalog.check_pages_differ()
        _say_what_datasets_lack(runner)
    note_sets(runner.run, runner.held)
    return is_encoded_now


def _do_round(runner: Runner, number: int) -> None:
    for stage in stages.stages_of_round(runner.run.config, number):
        runner.do(stage)


def _of_kind(config: Config, number: int, kind: type[Stage]) -> list[Stage]:
    return [stage for stage in stages.stages_of_round(config, number) if isinstance(stage, kind)]


def _measure_from(runner: Runner, first: int) -> None:
    """Measure what the rounds from `first` on lack that were measured by an earlier start.

    They stay in every table, so all of them are to be measured alike.
    """
    config, folder = runner.run.config, runner.run.folder
    for number in count(first):
        was_measured = storage.exists(folder.evaluation(number, DEV))
        if not (was_measured and (number == 0 or Train(number).is_recorded(folder))):
            return
        for stage in _of_kind(config, number, Evaluate):
            runner.do(stage)


def _decide(runner: Runner, round_number: int) -> RoundDecision:
    """Write `loop.json` from the rounds up to this one, and say what follows.

    Only dev is looked at: test sets never steer training. Rounds left by a previous run are ignored
    until the loop reaches them; until then `loop.json` keeps what it says of them, so that a run
    that is extended and interrupted still has the best round that it had.
    """
    from colintern.evaluation.decision import METRIC, decide, loop_document
    from colintern.evaluation.evaluate import judged_again

    config, folder = runner.run.config, runner.run.folder
    view, _ = runner.run.catalog.evaluated(DEV)
    values = [
        judged_again(folder.results(number, DEV), view.judgements).values[METRIC]
        for number in range(round_number + 1)
    ]
    decisions = decide(values, config.loop, config.run.seed)
    document = loop_document(decisions)
    if not _begins(document, folder):
        runner.held.check()
        storage.write_json(folder.loop_json, document)
    last = decisions[-1]
    log.say("loop", "round %d: %s; %s", last.round, last.reason, last.decision)
    return last


def _say_whether_training_helped(runner: Runner) -> None:
    """Say when the heads that a run was given are as good on dev as every round of it."""
    from colintern.evaluation.decision import METRIC
    from colintern.evaluation.titles import where_from

    config, folder = runner.run.config, runner.run.folder
    start = where_from(config.training.init_heads)
    if start is None:
        return
    given = storage.read_json(folder.evaluation(0, DEV))["metrics"][METRIC]
    loop = storage.read_json(folder.loop_json)
    best = max(entry["dev"] for entry in loop["rounds"])
    if given >= best:
        log.say(
            "loop",
            "no round is better than its start, %s: dev nDCG@5 %.3f, best round %.3f",
            start,
            given,
            best,
        )


def _begins(document: Mapping[str, Any], folder: RunFolder) -> bool:
    """Whether `loop.json` says all that `document` says, and perhaps more rounds.

    The words of a reason do not count: an earlier version had others.
    """
    if not storage.exists(folder.loop_json):
        return False
    written = storage.read_json(folder.loop_json)
    before, rounds = (
        [{**entry, "reason": None} for entry in one["rounds"]] for one in (written, document)
    )
    same_metric = written.get("metric") == document["metric"]
    return same_metric and before[: len(rounds)] == rounds


def _say_what_datasets_lack(runner: Runner) -> None:
    """Pages that dev keeps out of training, and queries without a text, which make it too hard."""
    from colintern.runs.continuing import num_trained_on
    from colintern.runs.progress import (
        say_held_out,
        say_not_asked,
        say_trained_on,
    )

    config, catalog = runner.run.config, runner.run.catalog
    say_trained_on(num_trained_on(runner.run))
    say_held_out(config.data.train.name, catalog.pages_held_out())
    for name in evaluated_names(config.data):
        say_not_asked(name, catalog.not_asked(name))


def _say_unmined(config: Config) -> bool:
    """Say that rounds are without mined negatives, where they are."""
    if config.training.negatives_per_query:
        return False
    log.warn_once("mine", "training.negatives_per_query=0: nothing is mined")
    return True
