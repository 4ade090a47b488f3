"""What every stage has: a name, what it is made from, what it writes, and the work itself.

Ray, retries, leases and records are not its business: `runs.runner` and `runs.workers` put them
around it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from colintern import records, storage
from colintern.config.schema import Config
from colintern.records import Inputs, Output
from colintern.records.lease import Held
from colintern.records.run_folder import RunFolder

if TYPE_CHECKING:
    from colintern.runs.opened import OpenedRun
    from colintern.runs.workers import Workers


@dataclass(frozen=True)
class Made:
    """What a stage has made, as its record tells it.

    Attributes:
        inputs: all that it was made from.
        outputs: the files that it wrote.
    """

    inputs: Inputs
    outputs: Sequence[Output]


class Stage(ABC):
    """One thing that a run makes and records. A stage is small, frozen and compared by value.

    Attributes:
        workers_setting: what it asks of Ray, as the setting that says how many workers it has; None
            for one that works in the driver.
        first_round: the first round that has such a stage; None for one that is of no round.
    """

    workers_setting: ClassVar[str | None] = None
    first_round: ClassVar[int | None] = None

    @property
    @abstractmethod
    def name(self) -> str:
        """What its record is called."""

    @property
    def command(self) -> str | None:
        """The words after `colintern` that make it.

        None for a stage that is made along with the first one that needs it.
        """
        return None

    def needs(self, config: Config) -> Sequence[Stage]:
        """The stages that have to be recorded before it can be made."""
        return ()

    def is_recorded(self, folder: RunFolder) -> bool:
        """Whether it is finished."""
        return storage.exists(folder.record_path(self.name))

    def lost_files(self, folder: RunFolder) -> list[str]:
        """What its record says that it wrote, and what is gone or has another size; full paths."""
        record = folder.record(self.name)
        sizes = (
            {folder.file(output.path): output.bytes for output in record.outputs} if record else {}
        )
        found: dict[str, int] = {}
        for parent in {path.rpartition("/")[0] for path in sizes}:
            found |= {state.path: state.size for state in storage.list_states(parent)}
        return [path for path, size in sizes.items() if found.get(path) != size]

    def is_there(self, folder: RunFolder) -> bool:
        """Whether it is finished, and what it wrote is there."""
        return self.is_recorded(folder) and not self.lost_files(folder)

    def is_as_asked(self, config: Config, folder: RunFolder) -> bool:
        """Whether it is made as those settings ask that may change at any time."""
        return True

    def settings(self, config: Config) -> Inputs:
        """The inputs that the configuration alone gives, called by section and key: `run.seed`.

        A stage that needs no other one may leave them to `inputs`.
        """
        return {}

    @abstractmethod
    def inputs(self, run: OpenedRun) -> Inputs:
        """All that it would be made from now; `needs` are recorded."""

    def check_drift(self, run: OpenedRun) -> None:
        """Make sure that it would come out the same now, if it is recorded.

        Raises:
            DriftError: it would come out otherwise.
        """
        record = run.folder.record(self.name)
        if record is not None:
            records.check_drift(self.name, record, run.as_recorded(record, self.inputs(run)))

    def check_settings(self, run: OpenedRun) -> None:
        """As `check_drift`, of the settings alone; what it needs may be missing.

        Raises:
            DriftError: it would come out otherwise.
        """
        record = run.folder.record(self.name)
        if record is not None:
            settings = run.as_recorded(record, self.settings(run.config))
            records.check_settings(self.name, record, settings)

    def is_done(self, run: OpenedRun) -> bool:
        """Whether it is finished, what it wrote is there, and it would come out the same now.

        Raises:
            DriftError: it is finished and would come out otherwise.
        """
        self.check_drift(run)
        return self.is_there(run.folder) and self.is_as_asked(run.config, run.folder)

    @abstractmethod
    def make(self, run: OpenedRun, workers: Workers, held: Held) -> Made | None:
        """Do the work; its files are on storage when this returns.

        Args:
            run: the configuration, the folder, and what the other stages have made.
            workers: who does what is too heavy for the driver.
            held: the lease of the run; checked before anything is written.

        Returns:
            What is to be recorded; None when the record that there is stays.
        """
