"""Runs against each other, on what both have measured."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from colintern.errors import DatasetError, MissingStageError
from colintern.records.run_folder import RunFolder
from colintern.runs.compare.lines import comparison_lines
from colintern.runs.compare.make import compare
from colintern.runs.compare.measured import NotComparableError
from tests.runs.compare.conftest import record_baseline


def _lines(*runs) -> list[str]:
    return list(comparison_lines(compare([str(run) for run in runs])))


def test_queries_that_find_nothing_count_in_every_mean(finished):
    """A comparison whose means are over the questions that could be asked, unlike every table's."""
    found = compare([str(finished / "one@2"), str(finished / "two@2")])
    assert [one.dataset for one in found.datasets] == ["dev", "test"]
    for one, num_queries in zip(found.datasets, (8, 14), strict=True):
        metrics = one.first.document["metrics"]
        assert one.first.num_queries == len(one.first.values) == num_queries
        assert len(one.first.judgements) < num_queries
        assert one.first.values.mean() == pytest.approx(metrics["ndcg_at_5"], abs=1e-12)
        assert metrics["ndcg_at_5"] > 0.04


def test_a_difference_is_of_the_same_queries(finished):
    """Queries that are paired wrongly, or the other run's gain with the wrong sign."""
    found = compare([str(finished / "one@2"), str(finished / "one@0")])
    for one in found.datasets:
        pair = one.pair("one@0")
        assert pair is not None
        assert pair.over is not None
        means = [
            side.document["metrics"]["ndcg_at_5"] for side in (one.first, *one.others.values())
        ]
        assert pair.over.mean == pytest.approx(means[0] - means[1], abs=1e-12)
        assert pair.over.low <= pair.over.mean <= pair.over.high
    assert found.datasets[1].pairs[0].over.mean != 0


def test_a_baseline_that_finds_nothing_for_a_query_is_paired(finished):
    """Queries that BM25 has no page for, taken for queries that it was not asked."""
    *_, test = compare([str(finished / "one@1")]).datasets
    (pair,) = test.pairs
    assert pair.other == "one@words"
    assert pair.differences.queries.are_same
    assert pair.over is not None
    changed = test.first.values - test.others["one@words"].values
    assert len(changed) == 14
    own = [test.first.values[row] for row in range(2)]
    assert changed.tolist() == [*own, *([0.0] * 12)]


def test_a_run_compared_with_itself_says_so(finished, tmp_path):
    """Zeros that look like a result, because one run was named twice."""
    (tmp_path / "link").symlink_to(finished)
    first, *_ = lines = _lines(finished / "one", tmp_path / "link" / "one")
    assert "is compared with itself" in first
    assert not [line for line in lines if "one@1 " in line and "+0.0000" in line]
    assert "one@words" in lines[-1]


def test_three_runs_and_the_baselines_of_the_first(finished):
    """A run that is left out, or a table whose columns are not below each other."""
    lines = _lines(finished / "one@2", finished / "two@1", finished / "one@0")
    rows = [" ".join(line.split()[:-5]) for line in lines[1:15:2]]
    test = ["one@2", "two@1 pooled_rerank", "one@0", "one@words"]
    assert rows == [*(f"dev {name.split()[0]}" for name in test[:3]), *(f"test {n}" for n in test)]
    assert len({len(line) for line in lines[:15]}) == 1
    others = [line.split()[0] for line in lines[15:] if line.startswith("  ") and "[" in line]
    assert others == ["two@1", "one@0", "two@1", "one@0", "one@words"]
    (warning,) = (line for line in lines if "warning" in line)
    assert "measured in another way: search exact / pooled_rerank, candidates none / 6" in warning


def test_other_pages_are_told_with_numbers(finished, elsewhere):
    """A corpus with more pages, or with another image under an id, that passes for the same."""
    found = compare([str(finished / "one@2"), str(elsewhere)])
    pages = {one.dataset: one.pairs[0].differences.pages for one in found.datasets}
    assert pages["dev"] is not None
    assert pages["dev"].are_same  # other manifests, or other roots, are no other pages
    lines = list(comparison_lines(found))
    other = found.datasets[1].pairs[0].other
    assert [line.strip() for line in lines if "warning" in line] == [
        f"warning: other pages were searched (6 and 8): 2 only in {other}, "
        "1 with another image under the same id"
    ]


def test_runs_of_one_name_are_told_apart_by_their_paths(finished, elsewhere):
    """Two rows that are both called `one@2`."""
    names = list(compare([str(finished / "one@2"), str(elsewhere) + "@2"]).chosen)
    assert names[:2] == [f"{finished}/one@2", f"{elsewhere}@2"]


def test_other_judgements_are_refused_with_numbers(finished, judged_otherwise):
    """A difference over queries that are not the same, or whose right pages are not."""
    found = compare([str(finished / "one"), str(judged_otherwise)])
    dev, test = found.datasets
    assert dev.pairs[0].over is not None
    assert test.pair("judged@1").over is None
    lines = list(comparison_lines(found))
    assert (
        "not comparable: 1 queries are asked in the first alone, 1 queries are judged otherwise"
        in "\n".join(lines)
    )
    assert not [line for line in lines if line.startswith("test") and "judged@" in line]


def test_nothing_in_common_is_a_mistake_of_the_user(finished, judged_otherwise, monkeypatch):
    """Exit code 0 for a comparison that does not compare."""
    monkeypatch.setattr("colintern.runs.compare.chosen.evaluated_names", lambda _: ["test"])
    with pytest.raises(NotComparableError, match=r"cannot be compared: test: 1 queries"):
        compare([str(finished / "one"), str(judged_otherwise)])
    monkeypatch.setattr("colintern.runs.compare.chosen.evaluated_names", lambda _: [])
    with pytest.raises(MissingStageError, match="has no evaluated round 1; nothing is evaluated"):
        compare([str(finished / "one@1"), str(finished / "two")])


def test_a_root_that_was_moved_is_compared(finished, moved):
    """Datasets and stores that are looked for where they stood when the run was made."""
    away = shutil.move(finished, finished.with_suffix(".away"))
    try:
        found = compare([str(moved / "one@2"), str(moved / "one@1")])
    finally:
        shutil.move(away, finished)
    for dataset in found.datasets:
        pair = dataset.pairs[0]
        assert pair.over is not None
        assert dataset.first.pages is not None
        assert dataset.first.pages.folder.startswith(str(moved))


def test_without_features_pages_are_counted(finished, elsewhere):
    """A comparison that fails, or calls pages equal, when features were deleted to save room."""
    away = shutil.move(finished / "features", finished / "away")
    try:
        lines = _lines(finished / "one@2", f"{elsewhere}@2")
    finally:
        shutil.move(away, finished / "features")
    # Those of dev have one table, by its recorded hash, which needs no features to be known.
    told = [line.rpartition("; ")[2] for line in lines if "warning" in line]
    assert told == ["they are not as many: 6 and 8"]
    assert len([line for line in lines if " [" in line]) == 3


def test_judgements_that_have_changed_since_are_an_error(moved):
    """Results of then, judged by what stands there now."""
    part = moved / "test" / "qrels" / "part-00000.parquet"
    part.write_bytes((moved / "train" / "qrels" / "part-00000.parquet").read_bytes())
    with pytest.raises(DatasetError, match="has changed since this run began"):
        compare([str(moved / "one@2"), str(moved / "one@1")])


def test_another_way_of_measuring_is_named(moved):
    """A run on a GPU, or by another version, whose difference passes for the heads'."""
    versions = {"torch": "2.13.0"}
    _measured_by(moved / "one" / "round-2", {"device": "cpu", "versions": versions})
    faiss = {**versions, "faiss-cpu": "1"}
    _measured_by(moved / "two" / "round-2", {"device": "cuda", "versions": faiss})
    _measured_by(moved / "one" / "round-1", None)
    told = "\n".join(_lines(moved / "one@2", moved / "two@2", moved / "one@1"))
    assert (
        "measured in another way: search exact / pooled_rerank, device cpu / cuda, "
        "versions.faiss-cpu none / 1\n" in told
    )
    assert "how one@1 was measured is not recorded" in told
    assert "how two@2 was measured is not recorded" not in told


def test_another_retriever_is_no_other_way_of_measuring(moved):
    """A line of twenty differences below BM25, which has no image processor, and no tokens."""
    folder = RunFolder(str(moved / "one"))
    told = {"device": "cpu", "versions": {"torch": "2.13.0"}}
    heads = {"score": "MaxSim", "page_tokens": {"mean": 9.0}, "encoding": {"device": "cpu"}}
    _measured_by(moved / "one" / "round-2", {**told, **heads})
    words = {"score": "BM25", "page_tokens": None, "encoding": {"pages": "text"}}
    for device in ("cpu", "cuda"):
        versions = {**told["versions"], "bm25s": "0.3"}
        protocol = {**told, **words, "versions": versions, "device": device}
        _measured_by(moved / "one" / "baselines" / "words", protocol, {"name": "words"})
        record_baseline(folder, "words", "test")
        warnings = [line for line in _lines(moved / "one@2") if "warning" in line]
        assert [line.strip() for line in warnings] == (
            ["warning: measured in another way: device cpu / cuda"] if device == "cuda" else []
        )


def _measured_by(
    folder: Path, protocol: dict[str, Any] | None, baseline: dict[str, str] | None = None
) -> None:
    """Have a round's results on test say that they were measured so."""
    path = folder / "eval" / "test.json"
    document = json.loads(path.read_text())
    others = {name: value for name, value in document.items() if name != "protocol"}
    added = {"protocol": protocol, "baseline": baseline}
    path.write_text(json.dumps(others | {key: value for key, value in added.items() if value}))


def test_the_document_has_every_number(finished, judged_otherwise):
    """JSON that a program cannot read, or that leaves out what the lines tell."""
    found = compare([str(finished / "one@2"), str(finished / "one@1"), str(judged_otherwise)])
    document = json.loads(json.dumps(found.document()))
    assert [one["name"] for one in document["compared"]][:2] == ["one@2", "one@1"]
    assert document["first"] == "one@2"
    test = document["datasets"][1]
    assert set(test["measured"]) == {one["name"] for one in document["compared"]}
    defined, refused, baseline = test["pairs"]
    assert defined["difference"].keys() == {"mean", "low", "high"}
    assert (defined["num_queries"], defined["warnings"], defined["refused"]) == (14, [], None)
    assert refused["difference"] is None
    assert refused["not_in_common"]["queries"] == {
        "only_first": 1,
        "only_other": 0,
        "judged_otherwise": 1,
        "not_asked": [6, 6],
    }
    assert baseline["other"] == "one@words"
