"""One driver at work on one run: a stage that is recorded is not done again.

What a run needs before any work is checked first, and without torch as far as that goes: a mistake
is told at once.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from colintern import log, records, storage
from colintern.config.schema import Config
from colintern.data.resolve import with_datasets, with_judgements
from colintern.errors import MissingStageError, PathError
from colintern.records import lease
from colintern.records.lease import Held
from colintern.records.run_folder import RunDocument, RunFolder
from colintern.runs import preflight
from colintern.runs.backbone_choice import say_idle_gpu, say_what_the_advised_takes
from colintern.runs.stages import Encode, Stage, stages_of
from colintern.runs.users import note_user
from colintern.runs.versions import commit, versions
from colintern.runtime.resources import Request, request_of

if TYPE_CHECKING:
    from colintern.runs.opened import OpenedRun
    from colintern.runs.workers import Workers

SOME_CONFIG = "--config ..."  # where it is not known which file


class Runner:
    """Does stages, checks the lease around them, and records them.

    Args:
        run: the run.
        workers: who does what is too heavy for the driver.
        held: the lease of the run folder.
        given: how the settings were given, as a command that has to come first is given them too.
    """

    def __init__(
        self, run: OpenedRun, workers: Workers, held: Held, given: str = SOME_CONFIG
    ) -> None:
        self.run = run
        self.held = held
        self._workers = workers
        self._given = given

    def do(self, stage: Stage) -> bool:
        """Do a stage, unless it is recorded and would come out the same.

        Returns:
            Whether there was something to do.

        Raises:
            DriftError: it is recorded and would come out otherwise.
            MissingStageError: a stage that it is made from is not recorded.
        """
        needs = stage.needs(self.run.config)
        self._check_commands(needs)
        for needed in needs:
            if not needed.is_there(self.run.folder):
                self.do(needed)
        if stage.is_done(self.run):
            return False
        if lost := stage.lost_files(self.run.folder):
            log.say(
                "run", "stage %s is done again: gone or changed: %s", stage.name, ", ".join(lost)
            )
        self.run.catalog.check_questions()
        started_at = records.now()
        began = time.monotonic()
        log.detail("run", "stage %s begins", stage.name)
        made = stage.make(self.run, self._workers, self.held)
        log.detail("run", "stage %s took %.1f s", stage.name, time.monotonic() - began)
        if made is not None:
            self.held.check()
            path = self.run.folder.record_path(stage.name)
            machine = self._workers.machine(self.run.config)
            records.record_outputs(path, made.inputs, made.outputs, started_at, machine)
            self.run.forget()
        log.save()
        return True

    def check_ready(self, wanted: Sequence[Stage]) -> None:
        """Make sure that single stages can be made: every dataset is encoded, and what they need.

        Raises:
            MissingStageError: something has to come first; the message has the commands.
        """
        needed = (needed for stage in wanted for needed in stage.needs(self.run.config))
        self._check_commands([*map(Encode, self.run.targets), *needed])

    def _check_commands(self, needed: Sequence[Stage]) -> None:
        """Make sure that no command has to come first.

        Raises:
            MissingStageError: one has to.
        """
        missing = dict.fromkeys(chain.from_iterable(map(self._missing, needed)))
        if missing:
            commands = dict.fromkeys(f"colintern {stage.command}" for stage in missing)
            in_order = ", then ".join(f"{command} {self._given}" for command in commands)
            raise MissingStageError(
                f"{self.run.folder.path}: stage {next(iter(missing)).name} is missing; "
                f"run first: {in_order}"
            )

    def _missing(self, stage: Stage) -> Iterator[Stage]:
        """What of a stage, and of all that it is made from, commands have to make; in order."""
        if not stage.is_there(self.run.folder):
            for needed in stage.needs(self.run.config):
                yield from self._missing(needed)
            if stage.command:
                yield stage


@contextlib.contextmanager
def open_run(
    config: Config,
    kinds: Sequence[type[Stage]] | None = None,
    workers: Workers | None = None,
    given: str = SOME_CONFIG,
) -> Iterator[Runner]:
    """Check everything that a user may have got wrong, then hold the run for this driver.

    Args:
        config: as it was read.
        kinds: the stages that may run, for which a cluster has to be large enough; None for all.
        workers: who does the work; None takes those of a Ray cluster, which is joined or started
            when the first stage needs it.
        given: how the settings were given on the command line, for messages.

    Raises:
        UserError: a dataset, the backbone, a setting that would change a recorded stage, or
            another driver on the same run; before any long work starts.
    """
    is_checked = preflight.check(config)
    # Imported now: torch takes seconds, which nobody should wait for who has mistyped a setting.
    from colintern.model.backbone import read_identity
    from colintern.runs.basis import ensure_basis, has_to_be_made, recorded_basis
    from colintern.runs.drift import check_drift
    from colintern.runs.opened import OpenedRun
    from colintern.runs.progress import say_added

    with lease.held(config.run_path, wait=False) as held:
        backbone = read_identity(config.backbone)
        preflight.check_init_heads(config, backbone)
        config = with_datasets(config)
        if not is_checked:
            preflight.check_datasets(config)
        asked, config = config.data.judgements, with_judgements(config)
        say_what_the_advised_takes(config)
        say_idle_gpu(config)
        if has_to_be_made(
            config, backbone
        ):  # which takes minutes: all that can be refused is first
            check_drift(OpenedRun(config, backbone, recorded_basis(config)), asked)
        with _workers(config, kinds, workers) as chosen:
            basis = ensure_basis(config, backbone, chosen)
            preflight.check_init_basis(config, basis)
            opened = OpenedRun(config, backbone, basis)
            check_drift(opened, asked)
            say_added(config.data)
            _write_run_json(opened.folder, config, held)
            note_user(config)
            with log.kept(opened.folder.log, held.check):
                yield Runner(opened, chosen, held, given)


@contextlib.contextmanager
def _workers(
    config: Config, kinds: Sequence[type[Stage]] | None, workers: Workers | None
) -> Iterator[Workers]:
    if workers is not None:
        yield workers
        return
    from colintern.runtime.workers import ray_workers

    with ray_workers(config, requests(config, kinds)) as on_ray:
        yield on_ray


def requests(config: Config, kinds: Sequence[type[Stage]] | None = None) -> list[Request]:
    """What the stages of some kinds, or all, ask of Ray."""
    stages = stages_of(config, config.loop.max_rounds)
    asking = (stage for stage in stages if kinds is None or type(stage) in kinds)
    found = dict.fromkeys(request_of(stage, config) for stage in asking)
    return [request for request in found if request.num_workers]


def _write_run_json(folder: RunFolder, config: Config, held: lease.Held) -> None:
    """Write down the resolved configuration, the versions and the commit.

    What says the same stays, though with the root of another day: the report is made from it.
    """
    document = RunDocument(config.located(), versions(), commit())
    with contextlib.suppress(PathError):  # there is none yet, or nobody can read it
        if _settings_of(folder.read()) == _settings_of(document):
            return
    held.check()
    storage.write_json(folder.run_json, _settings_of(document))


def _settings_of(document: RunDocument) -> dict[str, Any]:
    return {**vars(document), "config": document.config.model_dump(mode="json")}
