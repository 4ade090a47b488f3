"""One driver at work on one run: a stage that is recorded is not done again."""

from colintern import records
from colintern.errors import MissingStageError
from colintern.records.lease import Held
from colintern.run.opened import OpenedRun
from colintern.run.stages import Encode, Stage
from colintern.run.workers import Workers


class Runner:
    """Does stages, checks the lease around them, and records them.

    Args:
        run: the run.
        workers: who does what is too heavy for the driver.
        held: the lease of the run folder.
    """

    def __init__(self, run: OpenedRun, workers: Workers, held: Held) -> None:
        self.run = run
        self.held = held
        self._workers = workers

    def do(self, stage: Stage) -> bool:
        """Do a stage, unless it is recorded and would come out the same.

        Returns:
            Whether there was something to do.

        Raises:
            DriftError: it is recorded and would come out otherwise.
            MissingStageError: a stage that it is made from is not recorded.
        """
        for needed in stage.needs(self.run.config):
            self._require(needed)
        if stage.is_done(self.run):
            return False
        self.run.catalog.check_questions()
        started_at = records.now()
        made = stage.make(self.run, self._workers, self.held)
        if made is not None:
            self.held.check()
            path = self.run.folder.record_path(stage.name)
            records.record_outputs(path, made.inputs, made.outputs, started_at)
        return True

    def require_encoded(self) -> None:
        """Make sure that every dataset is encoded, as a single stage of a round needs.

        Raises:
            MissingStageError: one is not.
        """
        for name in self.run.targets:
            self._require(Encode(name))

    def _require(self, stage: Stage) -> None:
        if stage.is_recorded(self.run.folder):
            return
        if stage.command is None:
            self.do(stage)
            return
        raise MissingStageError(
            f"{self.run.folder.path}: stage {stage.name} is missing; "
            f"run first: colintern {stage.command}"
        )
