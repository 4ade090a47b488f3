"""Runs that differ in what a comparison has to tell."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from colintern import records
from colintern.records.run_folder import RunFolder, baseline_stage
from colintern.runs import loop
from tests.helpers import add_queries, png
from tests.local_run import QuickWorkers, make_config


@pytest.fixture(scope="package")
def finished(tmp_path_factory) -> Path:
    """The root of two runs: `one`, and `two` with another search. Their datasets stand in it too.

    Some questions cannot be asked. `one` has a baseline that finds nothing for two queries of test.
    """
    root = tmp_path_factory.mktemp("compared")
    make_config(root)
    add_queries(root / "test", {f"blank{number}": " " for number in range(6)})
    add_queries(root / "train", {f"blank{number}": "" for number in range(24)})
    _run(root, name="one")
    _run(root, name="two", search="pooled_rerank")
    _add_baseline(RunFolder(str(root / "one")), "words", "test")
    return root


@pytest.fixture(scope="package")
def elsewhere(finished, tmp_path_factory) -> Path:
    """A run under another root, whose test set has two pages more and one other image."""
    root = _copied(finished, tmp_path_factory.mktemp("elsewhere"))
    corpus = root / "test" / "corpus" / "part-00000.parquet"
    table = pq.read_table(corpus)
    rows = table.to_pylist()
    rows += [{**rows[0], "corpus-id": name} for name in ("p900", "p901")]
    for number, place in ((900, 6), (901, 7), (902, 3)):
        rows[place]["image"] = {**rows[place]["image"], "bytes": png(number)}
    pq.write_table(pa.Table.from_pylist(rows, table.schema), corpus)
    return _run(root, name="one")


@pytest.fixture(scope="package")
def judged_otherwise(finished, tmp_path_factory) -> Path:
    """A run whose test set lacks a query, and has another right page for one."""
    root = _copied(finished, tmp_path_factory.mktemp("judged"))
    qrels = root / "test" / "qrels" / "part-00000.parquet"
    table = pq.read_table(qrels)
    rows = table.filter(pc.not_equal(table["query-id"], "q002")).to_pylist()
    rows[3]["corpus-id"] = "p001"
    pq.write_table(pa.Table.from_pylist(rows, table.schema), qrels)
    return _run(root, name="judged")


@pytest.fixture
def moved(finished, tmp_path) -> Path:
    """A copy of the root, to be changed at will."""
    return shutil.copytree(finished, tmp_path / "moved")


def _copied(runs: Path, root: Path) -> Path:
    for name in ("train", "test"):
        shutil.copytree(runs / name, root / name)
    return root


def _run(root: Path, name: str, search: str = "exact") -> Path:
    run = {"name": name, "root": str(root)}
    config = make_config(root, run=run, evaluation={"search": search})
    return Path(loop.run(config, QuickWorkers()).path)


def _add_baseline(folder: RunFolder, name: str, dataset: str) -> None:
    """A baseline with the results of round 1, but for two queries that found nothing."""
    results = folder.baseline_results(name, dataset)
    Path(results).parent.mkdir(parents=True)
    shutil.copy(folder.evaluation(1, dataset), folder.baseline_evaluation(name, dataset))
    found = pq.read_table(folder.results(1, dataset))
    nothing = pc.is_in(found["query_id"], pa.array(["q000", "q001"]))
    pq.write_table(found.filter(pc.invert(nothing)), results)
    record_baseline(folder, name, dataset)


def record_baseline(folder: RunFolder, name: str, dataset: str) -> None:
    """Record the files of a baseline as they are now."""
    files = [folder.baseline_evaluation(name, dataset), folder.baseline_results(name, dataset)]
    outputs = folder.described(files)
    path = folder.record_path(baseline_stage(name, dataset))
    records.record_outputs(path, {}, outputs, records.now())
