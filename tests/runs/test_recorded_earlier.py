"""A run that an earlier version has recorded stays done, whatever the configuration has learnt."""

from pathlib import Path
from typing import Any

import pytest

from colintern import storage
from colintern.config.files import parse_config
from colintern.config.schema import Config
from colintern.data.canonical import CanonicalDataset
from colintern.errors import DriftError, TooManyBadPagesError
from colintern.evaluation.results import read_results
from colintern.records.run_folder import RunFolder
from colintern.retrieval.finished import best_round
from colintern.runs import loop
from colintern.runs.compare.make import compare
from colintern.runs.stages.report import write_report
from colintern.runs.status import status_lines
from tests.local_run import NoWorkers, QuickWorkers, search

RECORDED = Path(__file__).parents[1] / "data" / "recorded-3bf57ee"
ROOT = "s3://recorded-3bf57ee"
RUN = f"{ROOT}/runs/run"


@pytest.fixture
def recorded(s3_server) -> str:
    """The run folder, on the S3 server where it was made."""
    s3_server.new_bucket("recorded-3bf57ee")
    for part in ("data", "runs"):
        for path in (RECORDED / part).rglob("*"):
            if path.is_file():
                name = path.relative_to(RECORDED).as_posix()
                storage.write_bytes(f"{ROOT}/{name}", path.read_bytes())
    return RUN


def _config(**sections) -> Config:
    """The configuration that the run has recorded."""
    document = _document()["config"]
    for section, values in sections.items():
        document[section].update(values)
    return parse_config(document, "recorded")


def _document() -> dict[str, Any]:
    """The `run.json` that the run has recorded, with the backbone where it stands here."""
    document = storage.read_json(f"{RUN}/run.json")
    document["config"]["backbone"]["path"] = str(RECORDED / "backbone")
    return document


def _files() -> dict[str, str]:
    return {path: storage.sha256_of_file(path) for path in storage.find_files(ROOT)}


def test_a_run_of_an_earlier_version_stays_done(recorded):
    """A new key, or another kind of hash, that drifts every run there is or encodes it again."""
    before = _files()
    loop.run(_config(), NoWorkers())
    after = _files()
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    told_again = (
        "run.json",
        "data.json",
        "loop.json",
        "report.html",
        "log.txt",
        "records/report.json",
    )
    assert changed <= {f"{RUN}/{name}" for name in told_again}
    assert len(before) > 80
    assert best_round(RunFolder(recorded)) == 1
    lines = status_lines(recorded)
    assert len(lines) == 13
    assert all("done" in line for line in lines)


def test_a_change_to_it_is_still_told(recorded):
    """A comparison that passes over what it does not know would pass over everything."""
    with pytest.raises(DriftError, match=r"temperature: 0\.02 -> 0\.05"):
        loop.run(_config(training={"temperature": 0.05}), NoWorkers())


def test_it_is_shown_compared_and_asked_like_a_run_of_today(recorded):
    """A record, result or store of an earlier version that only `colintern run` still reads."""
    *lines, last = status_lines(recorded)
    assert all("done" in line for line in lines)
    # Its record does not say which settings the page shows: `colintern run` writes it again.
    assert last.split()[:2] == ["report", "missing"]
    before = _files()
    html = storage.read_bytes(write_report(RunFolder(recorded).read().config, RunFolder(recorded)))
    assert html.count(b">untrained</th>") == 2
    assert b'<th scope="row">round-2-mine' in html
    assert html.count(b'"data:image/webp;base64,') > 10
    found = compare([recorded, f"{recorded}@0"])
    assert [list(one.others) for one in found.datasets] == [["run@0"], ["run@0"]]
    for one in found.datasets:
        metrics = storage.read_json(RunFolder(recorded).evaluation(1, one.dataset))["metrics"]
        assert one.first.values.mean() == pytest.approx(metrics["ndcg_at_5"], abs=1e-12)

    storage.write_json(f"{RUN}/run.json", _document())
    query = CanonicalDataset(f"{ROOT}/data/test").queries()[1]
    results = read_results(RunFolder(recorded).results(1, "test")).to_pylist()
    wanted = [row["page_id"] for row in results if row["query_id"] == query.query_id]
    hits = search(recorded, query.text, 3, "test")
    assert [hit.page_id for hit in hits] == wanted[:3]
    after = _files()
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert changed <= {f"{RUN}/report.html", f"{RUN}/run.json"}


def test_a_shard_that_it_has_lost_is_made_again(recorded):
    """A store that passes for finished as long as its manifests are there."""
    storage.delete(_a_shard())
    with pytest.raises(AssertionError, match="would be done again"):
        loop.run(_config(), NoWorkers())


@pytest.mark.parametrize("name", ["run", "other"])
def test_it_stays_done_when_a_shard_has_been_made_again(recorded, name):
    """A shard of today tells more of its pages: another manifest, from which all stages drift."""
    before = _files()
    shard = _a_shard()
    storage.delete(shard)
    workers = QuickWorkers()
    loop.run(_config(run={"name": name}), workers)
    workers.measured.clear()
    loop.run(_config(), workers)
    assert storage.exists(shard)
    assert workers.measured == []
    after = _files()
    changed = {path for path in before if before[path] != after.get(path)}
    of_stages = ("/heads.safetensors", "/triples.jsonl", "/dev.json", "records/encode-train.json")
    assert not [path for path in changed if path.startswith(RUN) and path.endswith(of_stages)]


def _a_shard() -> str:
    return storage.list_files(f"{ROOT}/runs/features/train-3f23d260/pages", ".safetensors")[2]


def test_its_store_is_held_against_the_limit_of_another_run(recorded):
    """A run with max_bad_fraction=0 that records a store without some of the pages."""
    strict = _config(run={"name": "strict"}, data={"max_bad_fraction": 0.0})
    with pytest.raises(TooManyBadPagesError, match=r"dataset train: 1 of 16 pages are bad"):
        loop.run(strict, NoWorkers())
    assert not storage.exists(f"{ROOT}/runs/strict/records/encode-train.json")
