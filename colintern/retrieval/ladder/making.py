"""`colintern ladder`: what the vectors of pages lose when they are made smaller.

Every kind of vectors is searched exactly and judged as a round is. The result stands beside the
rounds, as baselines do: `RUN/ladder/{dataset}.json` with a record, made again when what it is made
from has changed. It is no stage of the loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from colintern import log, records, storage
from colintern.config.schema import DEV
from colintern.data.views import View
from colintern.errors import DatasetError, UserError
from colintern.evaluation.decision import METRIC
from colintern.evaluation.evaluate import ranked
from colintern.evaluation.metrics import MRR_CUTOFF, judged
from colintern.evaluation.significance import Interval, bootstrap_interval, paired_interval
from colintern.features.store import FeatureStore
from colintern.model.heads import Heads
from colintern.records import Inputs
from colintern.records.run_folder import ladder_stage
from colintern.retrieval.baselines.frame import MeasuredRun, measured_run
from colintern.retrieval.ladder.rungs import Rung, all_rungs, frontier
from colintern.retrieval.ladder.search import best_by_rung
from colintern.retrieval.narrowing import narrowed, principal_axes
from colintern.runs.ladders import is_recorded
from colintern.search.embedding import embed_queries

_DEPTH = MRR_CUTOFF  # nDCG@5 needs no more
_MAKING = 1  # grows when the same inputs give another document


def make_ladder(
    run_path: str, round_number: int | None = None, dataset: str | None = None
) -> dict[str, Any]:
    """Measure every kind of vectors on a dataset, unless just that is recorded already.

    Args:
        run_path: the run folder.
        round_number: whose heads; None takes the best round.
        dataset: dev or a test set of the run, by its name; None takes dev.

    Returns:
        The content of `RUN/ladder/{dataset}.json`, see `_document`.

    Raises:
        UserError: the run has no such set, or there is nothing to search.
        MissingStageError: that round, or any, is not trained; or features are gone.
        DriftError: a dataset has changed since the run began.
    """
    with measured_run(run_path, round_number) as measured:
        name = _checked(measured, DEV if dataset is None else dataset)
        folder, stage, inputs = measured.run.folder, ladder_stage(name), _inputs(measured, name)
        before = folder.record(stage)
        is_same = before is not None and before.fingerprint == records.fingerprint(inputs)
        if is_same and is_recorded(folder, name):
            log.say("ladder", "%s: is measured already", name)
        else:
            started_at = records.now()
            document = _measured(measured, name)
            measured.held.check()
            storage.delete(folder.record_path(stage))
            storage.write_json(folder.ladder(name), document)
            outputs = folder.described([folder.ladder(name)])
            records.record_outputs(folder.record_path(stage), inputs, outputs, started_at)
        measured.write_report()
        return storage.read_json(folder.ladder(name))


def _checked(measured: MeasuredRun, dataset: str) -> str:
    """A name that is dev's or a test set's."""
    if dataset not in measured.datasets:
        raise UserError(
            f"--dataset {dataset}: is no dev or test set of this run; it has "
            f"{', '.join(measured.datasets)}"
        )
    return dataset


def _inputs(measured: MeasuredRun, dataset: str) -> Inputs:
    """All that the ladder depends on; the axes come from the training pages, and the seed."""
    train = measured.run.config.data.train.name
    return {
        **measured.data_inputs(dataset),
        "run.seed": measured.run.config.run.seed,
        "ladder.round": measured.run.round_number,
        "ladder.heads_sha256": measured.heads_sha256,
        "ladder.train_features_sha256": measured.data_inputs(train)["features_sha256"],
        "ladder.making": _MAKING,
    }


def _measured(measured: MeasuredRun, dataset: str) -> dict[str, Any]:
    """Search and judge all kinds of vectors."""
    run, (view, store) = measured.run, measured.view(dataset)
    if not len(view.pages) or not len(view.queries):
        raise DatasetError(f"{dataset}: has no page or no question with features to search")
    num_tokens = store.pages.num_tokens[view.pages]
    rungs = all_rungs(run.heads.dim, num_tokens)
    log.say("ladder", "round %d  %s: %d kinds of vectors", run.round_number, dataset, len(rungs))
    found = _searched(measured, view, store, rungs)
    values = [_values(view, key_BK) for key_BK in found]
    return _document(measured, view, float(num_tokens.mean()), rungs, values)


def _searched(
    measured: MeasuredRun, view: View, store: FeatureStore, rungs: Sequence[Rung]
) -> list[Tensor]:
    heads = _heads(measured, rungs)
    queries = {dim: embed_queries(own, store.queries, view.queries) for dim, own in heads.items()}
    total, depth = len(rungs) * len(view.pages), min(_DEPTH, len(view.pages))
    what = f"{view.name}, each page {len(rungs)} times"
    with log.Progress("ladder", what, "pages", total) as progress:
        return best_by_rung(rungs, heads, store.pages, view.pages, queries, depth, progress.add)


def _heads(measured: MeasuredRun, rungs: Sequence[Rung]) -> dict[int, Heads]:
    """The heads of each width: the run's own, and those that end in fewer numbers."""
    run = measured.run
    smaller = [dim for dim in dict.fromkeys(rung.dim for rung in rungs) if dim < run.heads.dim]
    axes_EE = principal_axes(run) if smaller else torch.empty(0)
    return {run.heads.dim: run.heads} | {dim: narrowed(run.heads, axes_EE, dim) for dim in smaller}


def _values(view: View, key_BK: Tensor) -> np.ndarray:
    """The nDCG@5 of every judged query; 0 for those that could not be asked."""
    found = ranked(view, iter([key_BK]), _DEPTH, lambda _: None, lambda _: None)
    return judged(view.judgements, found).values[METRIC]


def _document(
    measured: MeasuredRun,
    view: View,
    mean_tokens: float,
    rungs: Sequence[Rung],
    values: Sequence[np.ndarray],
) -> dict[str, Any]:
    """What is written: what was measured, and a row for each kind, the largest first."""
    seed = measured.run.config.run.seed
    (full,) = (own for rung, own in zip(rungs, values, strict=True) if rung.is_full)
    best = frontier([rung.page_bytes for rung in rungs], [float(own.mean()) for own in values])
    rows = [
        _row(
            rung,
            bootstrap_interval(own, seed=seed),
            None if rung.is_full else paired_interval(own, full, seed=seed),
            is_best,
        )
        for rung, own, is_best in zip(rungs, values, best, strict=True)
    ]
    return {
        "dataset": view.name,
        "round": measured.run.round_number,
        "num_queries": len(full),
        "num_pages": len(view.pages),
        "mean_tokens": mean_tokens,
        "dim": measured.run.heads.dim,
        "metric": METRIC,
        "search": "exact",
        "rows": sorted(rows, key=lambda row: (-row["page_bytes"], -row[METRIC])),
    }


def _row(
    rung: Rung, reached: Interval, difference: Interval | None, is_best: bool
) -> Mapping[str, Any]:
    return {
        "dim": rung.dim,
        "share": rung.share,
        "tokens": rung.tokens,
        "mean_tokens": rung.mean_tokens,
        "dtype": rung.dtype,
        "page_bytes": rung.page_bytes,
        "gib_per_million_pages": rung.gib_per_million_pages,
        METRIC: reached.mean,
        "ci": [reached.low, reached.high],
        "difference": difference and difference.mean,
        "difference_ci": difference and [difference.low, difference.high],
        "is_on_frontier": is_best,
        "embed": rung.options,
    }
