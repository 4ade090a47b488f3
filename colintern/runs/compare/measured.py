"""What a round, or a baseline, has measured on a dataset: for which queries, and on which pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from colintern import storage
from colintern.config.schema import dataset_of
from colintern.data.added_judgements import added_judgements
from colintern.data.canonical import CanonicalDataset
from colintern.data.columns import find, joined
from colintern.data.judgements import Judgements
from colintern.errors import MissingStageError, UserError
from colintern.evaluation.paired import values_of
from colintern.evaluation.results import asked_queries
from colintern.features.manifest import Manifest, open_manifest
from colintern.features.store import PAGES
from colintern.runs.compare.chosen import Chosen
from colintern.runs.contents import StoreUse, store_use
from colintern.runs.stages import Encode
from colintern.runs.stages.inputs import JUDGED, JUDGEMENTS


class NotComparableError(UserError):
    """Measurements that share no queries, or too little else, to be compared."""


@dataclass(frozen=True, eq=False)
class Measured:
    """One measurement, as the run folder keeps it.

    Attributes:
        chosen: the round or the baseline.
        dataset: the name of the dataset in the run.
        document: its metrics file.
        judgements: of the queries that were asked, sorted by id.
    """

    chosen: Chosen
    dataset: str
    document: Mapping[str, Any]
    judgements: Judgements

    @property
    def num_queries(self) -> int:
        """How many queries count; those that could not be asked, and count as 0, too."""
        return int(self.document["num_queries"])

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """nDCG@5 of every query that was asked, then the zeros of those that were not."""
        results = self.chosen.results(self.dataset)
        return values_of(self.judgements, results, num_queries=self.num_queries)

    @property
    def pages_hash(self) -> str | None:
        """That of the table of searched pages."""
        return self._use.manifests.get(PAGES) if self._use else None

    @cached_property
    def pages(self) -> Manifest | None:
        """The table of searched pages; None where the features are gone."""
        if self._use is None or self.pages_hash is None:
            return None
        store = storage.join(self.chosen.config.features_root, self._use.name)
        try:
            return open_manifest(storage.join(store, PAGES), self.pages_hash)
        except MissingStageError:
            return None

    @cached_property
    def _use(self) -> StoreUse | None:
        return _use_of(self.chosen, self.dataset)


def read_measured(chosen: Chosen, dataset: str) -> Measured:
    """What is recorded of a measurement, with the judgements that it was made with.

    Raises:
        DatasetError: the judgements have changed since.
        NotComparableError: some of them are gone, or people have said more since.
    """
    _check_added(chosen, dataset)
    asked = _asked(chosen, dataset)
    judgements = _judgements(chosen, dataset)
    rows = find(asked, judgements.query_ids)
    if (rows < 0).any():
        raise NotComparableError(
            f"{chosen.place}: {int((rows < 0).sum()):,} of the {len(rows):,} queries of {dataset} "
            "are not judged any more; put the judgements back"
        )
    document = storage.read_json(chosen.evaluation(dataset))
    return Measured(chosen, dataset, document, judgements.of_queries(rows))


def _check_added(chosen: Chosen, dataset: str) -> None:
    """Make sure that people's judgements are those that the metrics were made with.

    They are noted in the run before it is measured with them, and a baseline is measured by a
    command of its own.

    Raises:
        NotComparableError: they are not.
    """
    record = chosen.record(dataset)
    if record is None or not record.inputs:  # an early version, which had none
        return
    said = added_judgements(chosen.config.data, dataset_of(chosen.config.data, dataset).name)
    measured = record.inputs.get(JUDGED, record.inputs.get(JUDGEMENTS))
    if measured != (said.sha256 if said else None):
        again = "baseline" if chosen.baseline is not None else "run"
        raise NotComparableError(
            f"{chosen.place}: {dataset} was measured with other answers than {JUDGEMENTS} has now; "
            f"measure it again: colintern {again}"
        )


def _asked(chosen: Chosen, dataset: str) -> pa.Array:
    """The ids of the queries, sorted.

    Heads find pages for every query. A baseline may find none for some; its run asked them all.
    """
    parts = [asked_queries(chosen.results(dataset))]
    start = Chosen(chosen.folder, chosen.config, 0)
    if chosen.baseline is not None and start.is_measured(dataset):
        parts.append(asked_queries(start.results(dataset)))
    return joined(parts).unique().sort()


def _judgements(chosen: Chosen, dataset: str) -> Judgements:
    """All of a dataset, as they were when the run began.

    As they are now for a run whose records are of an earlier version, which did not note them.
    """
    use = _use_of(chosen, dataset)
    entry = dataset_of(chosen.config.data, dataset)
    added = added_judgements(chosen.config.data, entry.name)
    questions = (use.questions or None) if use else None
    return CanonicalDataset(entry.path, questions, added=added).judgements()


def _use_of(chosen: Chosen, dataset: str) -> StoreUse | None:
    name = dataset_of(chosen.config.data, dataset).name
    record = chosen.folder.record(Encode(name).name)
    return record and store_use(name, record)
