"""The report: one page about all that the run has recorded."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from colintern import log, records, storage
from colintern.config.schema import Config, evaluated_names
from colintern.errors import ReportKeptError
from colintern.records.lease import Held
from colintern.records.run_folder import RunFolder, baseline_stage, ladder_stage
from colintern.runs.stages.beside import beside_rounds
from colintern.runs.stages.evaluate import Evaluate
from colintern.runs.stages.mine import Mine
from colintern.runs.stages.stage import Made, Stage
from colintern.runs.stages.train import Train
from colintern.runs.stages.untrained import UntrainedHeads

if TYPE_CHECKING:
    from colintern.runs.opened import OpenedRun
    from colintern.runs.workers import Workers


@dataclass(frozen=True)
class Report(Stage):
    """Writes `report.html`; another run to show is no drift: it is written again."""

    @property
    def name(self) -> str:
        """What its record is called."""
        return "report"

    @property
    def command(self) -> str:
        """The words after `colintern` that make it."""
        return "run"

    def is_as_asked(self, config: Config, folder: RunFolder) -> bool:
        """Whether the page is the one that was made of this, and nobody has written over it."""
        record, path = folder.record(self.name), folder.report
        if record is None or not storage.exists(folder.loop_json):
            return False
        if record.fingerprint != records.fingerprint(_inputs(config, folder)):
            return False
        return storage.exists(path) and storage.sha256_of_file(path) == record.outputs[0].sha256

    def inputs(self, run: OpenedRun) -> dict[str, Any]:
        """The fingerprints of all that is shown, the decisions, and the settings."""
        return _inputs(run.config, run.folder)

    def check_drift(self, run: OpenedRun) -> None:
        """Find no drift: a page about something else is made again."""

    def make(self, run: OpenedRun, workers: Workers, held: Held) -> Made | None:
        """Write the page; one that would get worse stays, and is tried again by the next start."""
        inputs = self.inputs(run)
        held.check()
        try:
            path = write_report(run.config, run.folder)
        except ReportKeptError as error:
            log.say("report", "%s", error)
            return None
        log.say("report", "%s", path)
        return Made(inputs, run.folder.described([path]))


def write_report(config: Config, folder: RunFolder) -> str:
    """Write the page about what is recorded of a run, finished or not.

    Returns:
        Its path.

    Raises:
        ReportKeptError: the page that stands there stays, as a new one would show fewer pictures.
    """
    from colintern.report import page
    from colintern.report.data import Recorded

    stages, beside = _shown(config, folder), beside_rounds(config, folder)
    recorded = Recorded(
        stages=[stage.name for stage in stages],
        evaluated={
            name: next(number for number in count() if Evaluate(number, name) not in stages)
            for name in evaluated_names(config.data)
        },
        trained=[stage.round_number for stage in stages if isinstance(stage, Train)],
        mined=[stage.round_number for stage in stages if isinstance(stage, Mine)],
        baselines=beside.baselines,
        ladders=beside.ladders,
        not_shown=beside.remark,
    )
    return page.write_report(folder.path, recorded)


def _inputs(config: Config, folder: RunFolder) -> dict[str, Any]:
    # Untrained heads are shown by what they measure. Reports of earlier versions are without.
    shown = (stage for stage in _shown(config, folder) if stage != UntrainedHeads())
    beside = beside_rounds(config, folder)
    names = [stage.name for stage in shown]
    names += [baseline_stage(name, of) for of, found in beside.baselines.items() for name in found]
    names += map(ladder_stage, beside.ladders)
    found = ((name, folder.record(name)) for name in names)
    return {
        **{name: record.fingerprint for name, record in found if record},
        "loop": storage.sha256_of_file(folder.loop_json),
        "run": storage.sha256_of_file(folder.run_json),
    }


def _shown(config: Config, folder: RunFolder) -> list[Stage]:
    """All that is recorded; called late, as the report stands in the list too."""
    from colintern.runs.stages import recorded_stages

    return recorded_stages(config, folder)
