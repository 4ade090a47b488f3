"""The features of one dataset: its pages and queries through the frozen backbone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from colintern import records
from colintern.config.schema import DEV, Config
from colintern.records import Inputs
from colintern.records.lease import Held
from colintern.records.run_folder import RunFolder, encode_stage
from colintern.runs.dataset_place import identity_of
from colintern.runs.stages.stage import Made, Stage
from colintern.runtime.resources import ENCODE_WORKERS

if TYPE_CHECKING:
    from colintern.features.plan import StoreTarget
    from colintern.runs.opened import OpenedRun
    from colintern.runs.workers import Workers


@dataclass(frozen=True)
class Encode(Stage):
    """Brings the feature store of a dataset up to date, and notes which manifests the run uses."""

    dataset: str
    workers_setting: ClassVar[str | None] = ENCODE_WORKERS

    @property
    def name(self) -> str:
        """What its record is called."""
        return encode_stage(self.dataset)

    @property
    def command(self) -> str:
        """The words after `colintern` that make it."""
        return "encode"

    def inputs(self, run: OpenedRun) -> Inputs:
        """Those of the store, in the kind of hash that the run has recorded."""
        target, record = run.targets[self.dataset], run.folder.record(self.name)
        return target.inputs_like(record) if record else target.inputs

    def lost_files(self, folder: RunFolder) -> list[str]:
        """None: what it wrote stands in the store, see `is_done`."""
        return []

    def check_drift(self, run: OpenedRun) -> None:
        """Make sure that the settings and the dataset are as recorded.

        Raises:
            DriftError: they are not; of a dataset it is told what has become of it.
        """
        record = run.folder.record(self.name)
        if record is not None:
            self._check_store(run, record)
            inputs = self.inputs(run)
            run.check_dataset(self.dataset, record, inputs)
            records.check_drift(self.name, record, inputs)

    def _check_store(self, run: OpenedRun, record: records.Record) -> None:
        """As `check_drift`, without a look into the dataset: another store would be begun for it.

        Raises:
            DriftError: by the settings, the store is another one.
        """
        identity = identity_of(record)
        told = replace(record, inputs=identity, fingerprint=records.fingerprint(identity))
        if identity:  # else there is only a fingerprint, of all inputs
            records.check_drift(self.name, told, run.targets[self.dataset].identity)

    def is_done(self, run: OpenedRun) -> bool:
        """Whether the dataset is encoded, and its store is still there.

        Raises:
            DriftError: it would come out otherwise now, or another run has changed the store.
        """
        return super().is_done(run) and run.has_store(self.dataset)

    def make(self, run: OpenedRun, workers: Workers, held: Held) -> Made | None:
        """Encode what is missing, of the other datasets too: actors take long to start.

        The record is of the manifests, which stand in the store and not in the run. It stays when
        a store that was lost is made again and has those manifests: all stages are made from them.
        """
        from colintern.features.finish import finished_record
        from colintern.features.store import manifests_of

        target, limit = run.targets[self.dataset], run.config.data.max_bad_fraction
        store = finished_record(target, limit)
        if store is None:
            store = workers.encode(_unfinished(run), run.backbone, run.config)[target.path]
        if run.can_read_store(self.dataset):
            return None
        return Made(target.inputs_like(store), list(manifests_of(store).values()))


def training_stores(config: Config) -> list[Stage]:
    """The stores that training and mining are made from; dev's tells which pages are held out."""
    return [Encode(config.data.train.name), *([Encode(DEV)] if config.data.dev else [])]


def _unfinished(run: OpenedRun) -> list[StoreTarget]:
    from colintern.features.finish import finished_record

    limit = run.config.data.max_bad_fraction
    missing = [target for name, target in run.targets.items() if not Encode(name).is_done(run)]
    return [target for target in missing if finished_record(target, limit) is None]
