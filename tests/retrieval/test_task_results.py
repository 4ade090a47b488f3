"""Results that mteb's own tools read, with mteb's own figures."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from colintern import storage
from colintern.config.benchmarks import tasks
from colintern.config.schema import DatasetConfig
from colintern.data.entities import Query
from colintern.errors import MissingStageError, UserError
from colintern.evaluation.task_result import CUTOFFS, scores_of, task_result
from colintern.retrieval.task_results import write_task_results
from colintern.runs import loop
from tests.helpers import view_of
from tests.local_run import QuickWorkers, make_config

_JUDGED = {"q0": {"a": 1, "b": 2}, "q1": {"c": 1}, "q2": {"d": 1}, "q3": {"a": 0}}
_RANKING = {"q0": ["c", "a", "b"], "q1": ["c"], "q3": ["a"]}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The run folder, the folder for mteb, and the file of the only test set."""
    root = tmp_path_factory.mktemp("mteb")
    folder = loop.run(make_config(root, loop={"max_rounds": 1}), QuickWorkers())
    (path,) = write_task_results(folder.path, str(root / "mteb"))
    return folder, root / "mteb", Path(path)


def test_mteb_reads_what_is_written(written):
    """A file that looks like mteb's, and that none of its tools can open."""
    mteb = pytest.importorskip("mteb")
    folder, cache, path = written
    result = mteb.TaskResult.from_disk(path, load_historic_data=False)
    metrics = storage.read_json(folder.evaluation(1, "test"))["metrics"]
    assert result.get_score() == pytest.approx(metrics["ndcg_at_5"], abs=1e-12)
    (model,) = mteb.ResultCache(cache).get_models()
    assert model == ("colintern__run", path.parent.name)
    mteb.models.ModelMeta.model_validate(json.loads((path.parent / "model_meta.json").read_text()))


def test_figures_are_those_of_mteb():
    """A Recall or MRR by another definition, in a table that says mteb."""
    metrics = pytest.importorskip("mteb._evaluators.retrieval_metrics")
    judged = {query: _JUDGED[query] for query in ("q0", "q1")}
    run = {query: {page: -rank for rank, page in enumerate(_RANKING[query])} for query in judged}
    theirs = metrics.calculate_retrieval_scores(run, judged, CUTOFFS)
    own = scores_of(judged, _RANKING, "ndcg_at_5")
    for name, values in {
        "ndcg": theirs.ndcg,
        "map": theirs.map,
        "recall": theirs.recall,
        "precision": theirs.precision,
        "mrr": theirs.mrr,
        "hit_rate": theirs.hit_rate,
    }.items():
        for key, value in values.items():
            assert own[f"{name}_at_{key.split('@')[1]}"] == pytest.approx(value, abs=5e-6)


def test_a_query_that_found_nothing_counts_as_0_and_one_without_a_page_not_at_all():
    """A mean over the queries that worked."""
    scores = scores_of(_JUDGED, _RANKING, "recall_at_5")
    assert scores["hit_rate_at_5"] == pytest.approx(2 / 3)
    assert scores["mrr_at_1"] == pytest.approx(1 / 3)
    assert scores["mrr_at_10"] == pytest.approx((1 / 2 + 1) / 3)
    assert scores["main_score"] == scores["recall_at_5"]


def test_each_language_of_a_task_is_a_subset_of_mteb():
    """A mean over languages where mteb has four figures."""
    task = tasks()["Vidore2ESGReportsRetrieval"]
    queries = [Query(language, "text", language) for language in (*task.subsets, "other")]
    judgements = {query.query_id: {"a": 1} for query in queries}
    view = view_of(["a", "b"], queries, judgements)
    dataset = DatasetConfig(path="/x", name="esg", task=task.task)
    ranking = {query.query_id: ["a"] for query in queries if query.query_id != "french"}
    document = task_result(dataset, view, ranking, finished_at=datetime.now(UTC), seconds=1.0)
    found = {own["hf_subset"]: own for own in document["scores"]["test"]}
    assert found.keys() == set(task.subsets)
    assert {name: own["main_score"] for name, own in found.items()} == {
        "french": 0.0,
        "spanish": 1.0,
        "english": 1.0,
        "german": 1.0,
    }
    assert found["german"]["languages"] == ["deu-Latn"]
    assert (document["task_name"], document["dataset_revision"]) == (task.task, "local")


def test_the_same_command_again_writes_the_same(written):
    """Results that differ because they were written twice."""
    folder, cache, path = written
    before = path.read_bytes()
    assert write_task_results(folder.path, str(cache), 1) == [str(path)]
    assert path.read_bytes() == before


def test_what_is_not_measured_is_told(written, tmp_path):
    """A folder of results that lacks a test set."""
    folder, cache, _ = written
    with pytest.raises(MissingStageError, match="has no round 2"):
        write_task_results(folder.path, str(cache), 2)
    config = make_config(tmp_path, loop={"max_rounds": 1}, data={"eval": []})
    without = loop.run(config, QuickWorkers())
    with pytest.raises(UserError, match="has no test set"):
        write_task_results(without.path, str(cache))
    Path(folder.record_path("round-1-evaluate-test")).rename(tmp_path / "record.json")
    with pytest.raises(MissingStageError, match="round 1 is not measured on test; run: colintern"):
        write_task_results(folder.path, str(cache))
