"""The ladders of a run, quality against size: on which datasets one is recorded.

How one is made stands in `retrieval.ladder`.
"""

from collections.abc import Sequence

from colintern import storage
from colintern.records.run_folder import RunFolder, ladder_stage


def is_recorded(folder: RunFolder, dataset: str) -> bool:
    """Whether there is a ladder of a dataset, as its record tells it."""
    record = folder.record(ladder_stage(dataset))
    path = folder.ladder(dataset)
    if record is None or not storage.exists(path):
        return False
    return [output.bytes for output in record.outputs] == [storage.size_of(path)]


def recorded_ladders(folder: RunFolder, datasets: Sequence[str]) -> list[str]:
    """Those of some datasets, by their names in the run, that have a ladder."""
    return [dataset for dataset in datasets if is_recorded(folder, dataset)]
