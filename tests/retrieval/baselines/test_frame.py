"""What baselines share: judged as rounds are, recorded, and measured again only when needed."""

from pathlib import Path

import pytest
import torch

from colintern import storage
from colintern.errors import DriftError, LeaseHeldError, MissingStageError
from colintern.evaluation.results import read_results
from colintern.records import lease
from colintern.records.run_folder import RunFolder
from colintern.retrieval.baselines.frame import (
    Baseline,
    BaselineError,
    checked_name,
    measured_run,
)
from colintern.runs import loop
from colintern.runs.baselines import is_recorded, recorded_baselines
from colintern.runs.local import open_corpus
from colintern.search import order, searcher
from tests.helpers import add_queries
from tests.local_run import QuickWorkers, make_config


def _in_order(view, depth):
    """Every query finds the pages in the order of their ids."""
    scores = torch.linspace(1, 0, len(view.pages)).repeat(len(view.queries), 1)
    yield order.best(order.to_keys(scores, torch.arange(len(view.pages))), depth)


def _must_not(view, depth):
    raise AssertionError("measured again")


@pytest.mark.parametrize("dataset", ["dev", "test"])
def test_a_baseline_is_judged_as_a_round_is(run, dataset):
    """Other metrics, intervals or rows for the very ranking that a round has."""
    folder = RunFolder(run)
    number = storage.read_json(folder.loop_json)["best_round"]

    def as_the_round(view, depth):
        _, store = measured.view(dataset)
        shards, queries = open_corpus(view, store, folder.heads(number))
        return searcher.exact(shards, queries, depth)

    with measured_run(run) as measured:
        made = measured.record(Baseline("x", "model", {"size": 3}), dataset, as_the_round)
    wanted = storage.read_json(folder.evaluation(number, dataset))
    about = {"round": None, "baseline": {"name": "x", "kind": "model", "size": 3}}
    assert made == storage.read_json(folder.baseline_evaluation("x", dataset))
    protocol = {**wanted.pop("protocol"), "encoding": {}, "page_tokens": None}
    assert made == {**wanted, **about, "protocol": protocol}
    results = (folder.baseline_results("x", dataset), folder.results(number, dataset))
    assert len({storage.read_bytes(path) for path in results}) == 1
    assert read_results(results[0]).num_rows > 6
    record = folder.record(f"baseline-x-{dataset}")
    assert record
    assert [output.path for output in record.outputs] == [
        f"baselines/x/eval/{dataset}.json",
        f"baselines/x/eval/{dataset}.run.parquet",
    ]


def test_what_is_recorded_is_not_measured_again_until_it_would_differ(run):
    """Hours again for nothing; or old figures under the name of another model."""
    baseline = Baseline("x", "model", inputs={"model": "a"})
    with measured_run(run) as measured:
        first = measured.record(baseline, "test", _in_order)
    with measured_run(run) as measured:
        assert measured.record(baseline, "test", _must_not) == first
        with pytest.raises(AssertionError, match="measured again"):
            measured.record(Baseline("x", "model", inputs={"model": "b"}), "test", _must_not)
        assert is_recorded(measured.run.folder, "x", "test")  # the attempt failed before it wrote
        storage.delete(measured.run.folder.baseline_results("x", "test"))
        assert not is_recorded(measured.run.folder, "x", "test")
        assert measured.record(baseline, "test", _in_order) == first


def test_other_cutoffs_are_measured_again_and_other_judgements_refused(tmp_path):
    """A table whose rows were judged by different judgements, or lack a metric."""
    config = make_config(tmp_path)
    folder = loop.run(config, QuickWorkers())
    baseline = Baseline("x", "model")
    with measured_run(folder.path) as measured:
        measured.record(baseline, "test", _in_order)
    loop.run(config.model_copy(update={"evaluation": _with_cutoffs(config, (3,))}), QuickWorkers())
    with measured_run(folder.path) as measured:
        document = measured.record(baseline, "test", _in_order)
    assert "ndcg_at_3" in document["metrics"]
    add_queries(tmp_path / "test", {"q999": "one more"})
    with pytest.raises(DriftError, match="gained 1 question"), measured_run(folder.path):
        pass


def _with_cutoffs(config, cutoffs):
    return config.evaluation.model_copy(update={"cutoffs": cutoffs})


def test_a_run_may_be_named_from_where_one_stands(run, monkeypatch):
    """Workers, which stand in another folder, that find no lease and write into a new folder."""
    monkeypatch.chdir(Path(run).parent)
    with measured_run("run") as measured:
        found = [measured.run.folder.path, measured.held.folder]
    assert found == [str(Path.cwd() / "run")] * 2


def test_names_that_share_a_record_are_told_apart(run):
    """The figures of `x` on `b-test` shown as those of `x-b` on `test`."""
    folder = RunFolder(run)
    with measured_run(run) as measured:
        measured.record(Baseline("x-dev", "model"), "test", _in_order)
    path = folder.record_path("baseline-x-dev-test")
    assert is_recorded(folder, "x-dev", "test")
    assert storage.exists(path)
    assert not is_recorded(folder, "x", "dev-test")


def test_baselines_are_listed_as_tables_show_them(run):
    """A model before BM25, or one that was killed before it was recorded."""
    folder = RunFolder(run)
    with measured_run(run) as measured:
        for name in ("pooled", "alpha", "zeta", "bm25"):
            measured.record(Baseline(name, "model"), "test", _in_order)
    storage.delete(folder.record_path("baseline-zeta-test"))
    found = recorded_baselines(folder, ["dev", "test"])
    assert found == {"dev": [], "test": ["bm25", "pooled", "alpha"]}


@pytest.mark.parametrize("name", ["bm25", "pooled", "", "..", "a/b", "é", "2"])
def test_a_name_that_cannot_be_is_refused(name):
    """A folder outside of `baselines`, a model in the place of a built-in baseline or a round."""
    with pytest.raises(BaselineError, match=r"--name"):
        checked_name(name)
    assert checked_name("ColQwen2_v1.0-x") == "ColQwen2_v1.0-x"


def test_a_run_that_cannot_be_measured_on_is_told(run, tmp_path):
    """Two drivers that write into one run; a run without heads."""
    with lease.held(run, wait=False), pytest.raises(LeaseHeldError), measured_run(run):
        pass
    empty = make_config(tmp_path / "empty")
    loop.encode(empty, QuickWorkers())
    with pytest.raises(MissingStageError, match="no round"), measured_run(empty.run_path):
        pass
