"""The report: one page about all that the run has recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from colintern import log, records, storage
from colintern.records.lease import Held
from colintern.runs.stages.stage import Made, Stage
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

    def inputs(self, run: OpenedRun) -> dict[str, Any]:
        """The fingerprints of all that is shown, the decisions, and the settings."""
        from colintern.runs.stages import recorded_stages  # the list, which this stage stands in

        # Untrained heads are shown by what they measure. Reports of earlier versions are without.
        shown = (s for s in recorded_stages(run.config, run.folder) if s != UntrainedHeads())
        found = ((stage.name, run.folder.record(stage.name)) for stage in shown)
        return {
            **{name: record.fingerprint for name, record in found if record},
            "loop": storage.sha256_of_file(run.folder.loop_json),
            "run": storage.sha256_of_file(run.folder.run_json),
        }

    def is_done(self, run: OpenedRun) -> bool:
        """Whether the page is the one that was made of this, and nobody has written over it."""
        record, path = run.folder.record(self.name), run.folder.report
        if record is None or record.fingerprint != records.fingerprint(self.inputs(run)):
            return False
        return storage.exists(path) and storage.sha256_of_file(path) == record.outputs[0].sha256

    def make(self, run: OpenedRun, workers: Workers, held: Held) -> Made:
        """Write the page."""
        from colintern.report.page import write_report

        inputs = self.inputs(run)
        held.check()
        path = write_report(run.folder.path)
        log.say("report", "%s", path)
        return Made(inputs, run.folder.described([path]))
