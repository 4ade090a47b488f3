"""`colintern evaluate --mteb DIR`: the results of a round as a folder that mteb reads.

    DIR/results/{model}/{revision}/{task}.json, model_meta.json

DIR is a cache of mteb: `mteb.ResultCache(DIR).load_results()`.
"""

from datetime import datetime

from colintern import log, records, storage
from colintern.config.schema import DatasetConfig
from colintern.data.added_judgements import added_judgements
from colintern.errors import MissingStageError, UserError
from colintern.evaluation.metrics import ranking_of
from colintern.evaluation.results import read_results
from colintern.evaluation.task_result import model_meta, task_result
from colintern.retrieval.finished import FinishedRun, open_finished
from colintern.runs.opened import OpenedRun
from colintern.runs.stages import Evaluate


def write_task_results(run_path: str, out: str, round_number: int | None = None) -> list[str]:
    """Write the results of a round on all test sets of its run; the same files are written over.

    Args:
        run_path: the run folder.
        out: the folder to write into.
        round_number: which round; None takes the best one.

    Returns:
        The files of results.

    Raises:
        UserError: the run has no test set, or one with judgements that people have added.
        MissingStageError: the round is not trained, or not measured on one of them.
    """
    run = open_finished(run_path, round_number)
    tests = run.config.data.eval
    if not tests:
        raise UserError(f"--mteb: {run_path} has no test set; name some in data.eval")
    for dataset in tests:
        if added_judgements(run.config.data, dataset.name):
            raise UserError(
                f"--mteb: data.judgements of {run_path} changes what is right in {dataset.name}, "
                "which no published figure is measured with; run it again with data.judgements=null"
            )
    measured = [_record(run, dataset) for dataset in tests]
    catalog = OpenedRun(run.config, run.backbone, run.basis).catalog
    weights = run.folder.head_files(run.round_number)[0]
    name = f"colintern/{run.config.run.name}"
    revision = f"round-{run.round_number}-{storage.sha256_of_file(weights)[:12]}"
    folder = storage.join(out, "results", name.replace("/", "__"), revision)
    paths = []
    for dataset, record in zip(tests, measured, strict=True):
        view, _ = catalog.evaluated(dataset.name)
        results = read_results(run.folder.results(run.round_number, dataset.name))
        began, ended = (
            datetime.fromisoformat(at) for at in (record.started_at, record.finished_at)
        )
        document = task_result(
            dataset,
            view,
            ranking_of(results),
            finished_at=ended,
            seconds=(ended - began).total_seconds(),
        )
        paths.append(storage.join(folder, f"{document['task_name']}.json"))
        storage.write_json(paths[-1], document)
    released = datetime.fromisoformat(measured[0].finished_at)
    meta = model_meta(name, revision, run.heads.dim, released)
    storage.write_json(storage.join(folder, "model_meta.json"), meta)
    log.say("mteb", "round %d: %d results in %s", run.round_number, len(paths), folder)
    return paths


def _record(run: FinishedRun, dataset: DatasetConfig) -> records.Record:
    """The record of the measurement on a test set."""
    stage = Evaluate(run.round_number, dataset.name)
    record = run.folder.record(stage.name)
    if record is None or stage.lost_files(run.folder):
        raise MissingStageError(
            f"{run.folder.path}: round {run.round_number} is not measured on {dataset.name}; run: "
            f"colintern evaluate --round {run.round_number}"
        )
    return record
