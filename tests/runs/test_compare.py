"""One run against another, on what both have measured."""

import json
import logging

from colintern.runs import loop
from colintern.runs.compare import compare_lines
from tests.helpers import add_queries
from tests.local_run import QuickWorkers, make_config


def test_queries_that_find_nothing_count_in_every_mean(tmp_path, monkeypatch, caplog):
    """A comparison whose means are over the questions that could be asked, unlike every table's."""
    report = "colintern.report.page.write_report"
    monkeypatch.setattr(report, lambda path, _: f"{path}/run.json")  # drawing it takes longest
    caplog.set_level(logging.INFO, "colintern")
    make_config(tmp_path)
    add_queries(tmp_path / "test", {f"blank{number}": " " for number in range(6)})
    add_queries(tmp_path / "train", {f"blank{number}": "" for number in range(24)})
    exact = loop.run(make_config(tmp_path), QuickWorkers()).path
    sloppy = {"search": "pooled_rerank"}
    config = make_config(tmp_path, run={"name": "other"}, evaluation=sloppy)
    other = loop.run(config, QuickWorkers()).path
    assert "dev: 4 judged queries are bad and count as 0: blank16 (empty query)" in caplog.text
    assert "test: 6 judged queries are bad and count as 0: blank0 (empty query)" in caplog.text
    lines = compare_lines(exact, other)
    names = [" ".join(line.split()[:-5]) for line in lines[1:-3:2]]
    assert names[3::4] == ["dev 2 other", "test 2 other pooled_rerank"]
    for name, num_queries, line in (("dev", 8, lines[-2]), ("test", 14, lines[-1])):
        with open(f"{exact}/round-2/eval/{name}.json") as file:
            document = json.load(file)
        assert document["num_queries"] == num_queries
        assert line.startswith(f"{name}: nDCG@5 {document['metrics']['ndcg_at_5']:.3f}, other ")
        assert document["metrics"]["ndcg_at_5"] > 0.04
