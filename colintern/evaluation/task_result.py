"""Results in the format of mteb's task results, so that its tools can read and compare them.

The metrics are those that mteb computes, by the same library, from the order that is kept: up to a
cutoff of 100. Values are not rounded (mteb rounds some to five digits). What depends on scores of
confidence (nAUC) is left out, as are cutoffs of 1,000.
Format: mteb/results/task_result.py and models/model_meta.py of the version in `mteb_version`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pytrec_eval

from colintern.config.benchmarks import Task, mteb_version, tasks
from colintern.config.schema import DatasetConfig
from colintern.data.views import View

CUTOFFS = (1, 3, 5, 10, 20, 100)
_MAIN_SCORE = "ndcg_at_5"  # of a dataset that mteb does not have
_UNKNOWN_LANGUAGE = "und-Zyyy"  # ISO 639-3 and 15924: undetermined
_LOCAL = "local"  # the commit of a copy is not known
# mteb's name of a metric, to trec_eval's.
_MEASURES = {
    "ndcg": "ndcg_cut",
    "map": "map_cut",
    "recall": "recall",
    "precision": "P",
    "hit_rate": "success",
}

Ranking = Mapping[str, Sequence[str]]
Judged = Mapping[str, Mapping[str, int]]


def task_result(
    dataset: DatasetConfig, view: View, ranking: Ranking, *, finished_at: datetime, seconds: float
) -> dict[str, Any]:
    """The results of one dataset as mteb writes them.

    Args:
        dataset: as the run has it; `task` says which one of mteb's it is.
        view: its queries with their languages, and the judgements.
        ranking: query id to page ids, best first; a query that is missing found nothing.
        finished_at: when it was measured.
        seconds: that it took.
    """
    task = tasks().get(dataset.task or "")
    version = mteb_version()
    scores = [
        {
            **scores_of(judged, ranking, task.main_score if task else _MAIN_SCORE),
            "hf_subset": subset,
            "languages": list(task.languages[subset]) if task else [_UNKNOWN_LANGUAGE],
            "mteb_version": version,
        }
        for subset, judged in _subsets(view, task).items()
    ]
    return {
        "dataset_revision": dataset.revision or _LOCAL,
        "task_name": dataset.task or dataset.name,
        "mteb_version": version,
        "scores": {dataset.split or "test": scores},
        "evaluation_time": seconds,
        "kg_co2_emissions": None,
        "date": finished_at.timestamp(),
        "evaluation_phases": None,
    }


def scores_of(judged: Judged, ranking: Ranking, main_score: str) -> dict[str, float]:
    """The metrics of some queries: means over all of them; a query that found nothing counts 0.

    Args:
        judged: query id to page id to score; a query without a relevant page is left out.
        ranking: query id to page ids, best first.
        main_score: the metric that is given as `main_score` too.
    """
    asked = {query: dict(pages) for query, pages in judged.items() if max(pages.values()) >= 1}
    run = {
        query: {page: -float(rank) for rank, page in enumerate(ranking[query][: CUTOFFS[-1]], 1)}
        for query in asked
        if ranking.get(query)
    }
    listed = ",".join(map(str, CUTOFFS))
    measures = {f"{name}.{listed}" for name in _MEASURES.values()}
    found = pytrec_eval.RelevanceEvaluator(asked, measures).evaluate(run)
    scores = {
        f"{name}_at_{cutoff}": _mean(found, f"{measure}_{cutoff}", len(asked))
        for name, measure in _MEASURES.items()
        for cutoff in CUTOFFS
    }
    first = [_first_relevant(asked[query], ranking.get(query, ())) for query in asked]
    for cutoff in CUTOFFS:
        reciprocal = [1 / rank if 0 < rank <= cutoff else 0.0 for rank in first]
        scores[f"mrr_at_{cutoff}"] = float(np.mean(reciprocal)) if reciprocal else 0.0
    return {**scores, "accuracy": scores["recall_at_1"], "main_score": scores[main_score]}


def model_meta(name: str, revision: str, dim: int, released: datetime) -> dict[str, Any]:
    """What mteb keeps of the model beside its results (`model_meta.json`).

    Args:
        name: such as `colintern/my-run`.
        revision: which weights.
        dim: E, numbers per token.
        released: when the weights were made.
    """
    unknown = dict.fromkeys(
        "loader languages n_parameters memory_usage_mb max_tokens license open_weights "
        "public_training_code public_training_data use_instructions training_datasets".split()
    )
    return {
        **unknown,
        "name": name,
        "revision": revision,
        "release_date": released.date().isoformat(),
        "embed_dim": dim,
        "framework": ["PyTorch"],
        "similarity_fn_name": "MaxSim",
        "modalities": ["text", "image"],
        "model_type": ["late-interaction"],
    }


def _subsets(view: View, task: Task | None) -> dict[str, Judged]:
    """The subsets that mteb has, each with the judgements of its queries."""
    if task is None or not task.subsets:
        return {"default": view.judgements}
    of_query = dict(
        zip(view.judged.ids.to_pylist(), view.judged.languages.to_pylist(), strict=True)
    )
    return {
        subset: {
            query: view.judgements[query]
            for query in view.judgements
            if of_query.get(query) == subset
        }
        for subset in task.subsets
    }


def _mean(found: Mapping[str, Mapping[str, float]], measure: str, num_queries: int) -> float:
    """Over all queries, of which some have found nothing."""
    return sum(values[measure] for values in found.values()) / max(1, num_queries)


def _first_relevant(pages: Mapping[str, int], ranked: Sequence[str]) -> int:
    """The rank of the first relevant page; 0 where there is none."""
    ranks = (rank for rank, page in enumerate(ranked, 1) if pages.get(page, 0) >= 1)
    return next(ranks, 0)
