"""The baselines of a run: which are recorded, for the table, the report and comparisons.

A baseline is anything else that was measured on the run's dev and test sets: BM25, a pooled vector,
another model. How one is measured stands in `retrieval.baselines`.
"""

from collections.abc import Sequence

from colintern import storage
from colintern.records.run_folder import RunFolder, baseline_stage

BM25, POOLED = "bm25", "pooled"  # the names of those that need no other model


def is_recorded(folder: RunFolder, name: str, dataset: str) -> bool:
    """Whether a baseline is measured on a dataset, and its files are there.

    Names may have hyphens, so that two pairs of names can share a record: its outputs tell which.
    """
    record = folder.record(baseline_stage(name, dataset))
    if record is None:
        return False
    sizes = {folder.file(output.path): output.bytes for output in record.outputs}
    own = [folder.baseline_evaluation(name, dataset), folder.baseline_results(name, dataset)]
    return list(sizes) == own and all(_has_size(path, size) for path, size in sizes.items())


def _has_size(path: str, size: int) -> bool:
    return storage.exists(path) and storage.size_of(path) == size


def recorded_baselines(folder: RunFolder, datasets: Sequence[str]) -> dict[str, list[str]]:
    """For each of some datasets the names of its baselines: BM25, the pooled vector, then models.

    Args:
        folder: of the run.
        datasets: their names in the run.
    """
    names = storage.list_folders(folder.baselines)
    names.sort(key=lambda name: (name != BM25, name != POOLED, name))
    return {
        dataset: [name for name in names if is_recorded(folder, name, dataset)]
        for dataset in datasets
    }
