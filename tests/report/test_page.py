"""The report: self-contained, escaped, and there for half a run too."""

import json
import re
import shutil
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from colintern.data import canonical
from colintern.data import parquet as parquets
from colintern.data.entities import Judgement, Page, Query
from colintern.data.triples import Triple, writing_triples
from colintern.data.writing import write_dataset
from colintern.errors import ReportKeptError
from colintern.evaluation.protocol import Protocol
from colintern.records.run_folder import RunFolder
from colintern.report.data import Recorded
from colintern.report.page import write_report
from colintern.runs.stages.report import write_report as write_stage_report
from tests.helpers import png
from tests.report.helpers import EVIL, RECORDED, content_of, write_json, write_results

_ENCODING = "device compute_dtype attention attention_kernel image_processor stored_dtype".split()


def _report(run: Path, **recorded: Any) -> Path:
    """The report of what the fixture has recorded, with some of it replaced."""
    return Path(write_report(str(run), replace(RECORDED, **recorded)))


def test_nothing_from_data_becomes_markup(run):
    """A query or page id that runs as a script in the reader's browser."""
    html = _report(run).read_text()
    assert "&lt;script&gt;alert" in html
    assert re.findall("<script[^>]*>", html) == [
        '<script type="application/json" id="content">',
        "<script>",
    ]
    assert len(content_of(html)["pictures"]) == 2


@pytest.mark.parametrize(
    ("negative", "words"),
    [
        (0.4, "scores 0.100 higher"),
        (0.52, "scores 0.020 lower"),
        (0.4999, "scores less than 0.001 higher"),
    ],
)
def test_how_much_the_right_page_scores_beside_the_mined_one(run, negative, words):
    """`-0.020 higher` of a mined page that no margin kept out; `0.000 higher` of a distance."""
    pages = [f"{EVIL}{number}" for number in range(2)]
    with writing_triples(str(run / "round-2/triples.jsonl")) as write:
        write(Triple("q", EVIL, pages[:1], pages[1:], [0.5], [negative], [1]))
    assert f"the right page {words}" in _report(run).read_text()


@pytest.mark.parametrize(("relevant_from", "score"), [(None, "1"), (0.5, "1"), (2.0, "2.0")])
def test_a_page_that_is_said_to_answer_gets_a_score_that_says_so(run, relevant_from, score):
    """A page taken away from its question by "answers it", where 1 is too low a score."""
    document = json.loads((run / "run.json").read_text())
    document["config"]["data"]["train"]["relevant_from"] = relevant_from
    write_json(run / "run.json", document)
    assert set(re.findall('data-score="([^"]*)"', _report(run).read_text())) == {"0", score}


def test_only_the_pages_that_are_shown_are_read(run, monkeypatch):
    """Every image of a large corpus read for the few in the report."""
    (file,) = (run.parent / "data" / "corpus").iterdir()
    table, read = pq.read_table(file), []
    others = pa.table({**table.to_pydict(), "corpus-id": ["x", "y", "z"]}, table.schema)
    pq.write_table(pa.concat_tables([others, table]), file, row_group_size=1)

    def recorded(parquet, file, columns, row_group=None):
        if "image" in columns:
            read.append(row_group)
        return parquets.rows_of(parquet, file, columns, row_group)

    monkeypatch.setattr(canonical, "rows_of", recorded)
    assert len(content_of(_report(run).read_text())["pictures"]) == 2
    assert read == [3, 4]  # the right page of the triple, and the mined page that is hardest


@pytest.mark.parametrize("has_own_folder", [True, False])
def test_without_test_sets_dev_queries_are_shown(run, has_own_folder):
    """No example of what is found and what is missed for somebody with one dataset of his own."""
    data = run.parent / ("dev" if has_own_folder else "data")
    pages = [Page(f"{EVIL}{number}", png(number)) for number in range(3)]
    if has_own_folder:
        write_dataset(str(data), pages, [Query("q", "kettle?")], [Judgement("q", "other", 1)])
    document = json.loads((run / "run.json").read_text())
    document["config"]["data"].update(eval=[], dev={"path": str(data)} if has_own_folder else None)
    write_json(run / "run.json", document)
    write_results(
        run / "round-1/eval/dev.run.parquet", {"q": [page.page_id for page in pages[::-1]]}
    )
    html = _report(run).read_text()
    shown = html.split("Examples of dev")[1]
    assert ("kettle?" in shown) == has_own_folder
    found_at = "not in the first 100" if has_own_folder else "at rank 3"
    assert f"First right page {found_at} after round 1." in shown
    (table,) = content_of(html)["tables"]
    assert table["rows"][0][3] == [101 if has_own_folder else 3]


def test_a_query_that_the_best_round_improved_comes_first(run):
    """Failures only, or another round's pages under a round's name."""
    data = str(run.parent / "test")
    pages = [Page(name, png(number)) for number, name in enumerate("abc")]
    queries = [Query("bad", "stays bad"), Query("good", "becomes good")]
    write_dataset(data, pages, queries, [Judgement(query.query_id, "c", 1) for query in queries])
    document = json.loads((run / "run.json").read_text())
    document["config"]["data"]["eval"] = [{"name": "test", "path": data}]
    write_json(run / "run.json", document)
    measured = json.loads((run / "round-1/eval/dev.json").read_text())
    for number in (0, 1, 2):
        write_json(run / f"round-{number}/eval/test.json", measured)
    for number, ranking in ((1, "abc"), (2, "cab")):
        found = {"bad": list("abc"), "good": list(ranking)}
        write_results(run / f"round-{number}/eval/test.run.parquet", found)
    shown = _report(run, evaluated={"test": 3}).read_text().split("Examples of test")[1]
    assert re.findall(
        r'(?<=<q dir="auto">)[\w ]+|First right page [^.]+', shown.split("</section>")[0]
    ) == [
        "becomes good",
        "First right page at rank 1 after round 2; at rank 3 after round 1",
        "stays bad",
        "First right page at rank 3 after round 2; at rank 3 after round 1",
    ]


def test_a_dataset_that_has_changed_since_the_run(run):
    """A report that fails when a question or its judgement is taken out of the dataset."""
    data = str(run.parent / "test")
    pages = [Page(name, png(number)) for number, name in enumerate("abc")]
    judgements = [Judgement(query_id, "c", 1) for query_id in ("kept", "no text")]
    write_dataset(data, pages, [Query("kept", "kept"), Query("no judgement", "?")], judgements)
    document = json.loads((run / "run.json").read_text())
    document["config"]["data"]["eval"] = [{"name": "test", "path": data}]
    write_json(run / "run.json", document)
    measured = json.loads((run / "round-1/eval/dev.json").read_text())
    for number in (0, 1):
        write_json(run / f"round-{number}/eval/test.json", measured)
    found = {query_id: list("abc") for query_id in ("kept", "no text", "no judgement")}
    write_results(run / "round-1/eval/test.run.parquet", found)
    html = _report(run, evaluated={"test": 2}).read_text()
    (table,) = content_of(html)["tables"]
    assert [row[0] for row in table["rows"]] == ["kept"]
    assert '<q dir="auto">kept</q>' in html


def test_a_test_set_that_is_not_measured_up_to_the_best_round_has_no_examples(run):
    """`colintern report` that fails after a test set was added to a finished run."""
    for number in (0, 1):
        document = json.loads((run / f"round-{number}/eval/dev.json").read_text())
        write_json(run / f"round-{number}/eval/test.json", document)
    write_json(run / "loop.json", {"metric": "ndcg_at_5", "rounds": [], "best_round": 2})
    html = _report(run, evaluated={"dev": 2, "test": 2}).read_text()
    assert "Examples of" not in html
    assert content_of(html)["tables"] == []


def test_nothing_is_fetched(run):
    """A report that is empty without network, or tells a server that it was read."""
    html = _report(run).read_text()
    markup = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    fetched = re.findall(r'(?:src|href|url)\s*[=(]\s*["\']?([^"\')\s>]+)', markup)
    pictures = content_of(html)["pictures"].values()
    outside = [link for link in (*fetched, *pictures) if not link.startswith(("data:image/", "#"))]
    assert fetched
    assert outside == []
    assert "@import" not in html


def test_half_a_run_and_lost_images(run):
    """No report because a stage or a dataset is missing."""
    for path in (run.parent / "data" / "corpus").iterdir():
        path.unlink()
    for _ in range(2):  # the second time over one without pictures
        full = _report(run).read_text()
        assert "<h2>Mining</h2>" in full
        assert "picture cannot be read" in full
    bare = Path(write_report(str(run), Recorded())).read_text()
    assert "No round is trained" in bare
    assert "<h2>Mining</h2>" not in bare


@pytest.mark.parametrize(
    ("lost", "found"),
    [
        ("all", r"/data"),
        ("a page", r"has no page .*script.* any more"),
        ("a picture", r"page .*script"),
    ],
)
def test_a_report_never_gets_worse(run, lost, found):
    """A good report that `colintern report` replaces by one with broken pictures."""
    before = _report(run).read_bytes()
    data = run.parent / "data"
    if lost == "all":
        data.rename(run.parent / "away")
    else:
        images = [b"no image", png(1), png(2)] if lost == "a picture" else [png(0)]
        pages = [Page(f"{EVIL}{number}", image) for number, image in enumerate(images)]
        shutil.rmtree(data)
        write_dataset(str(data), pages, [Query("q", EVIL)], [Judgement("q", pages[0].page_id, 1)])
    with pytest.raises(ReportKeptError, match=found) as told:
        _report(run)
    assert "stays as it was" in str(told.value)
    assert f"colintern report {run}" in str(told.value)
    assert (run / "report.html").read_bytes() == before
    if lost == "all":
        (run.parent / "away").rename(data)
        assert _report(run).read_bytes() == before


def test_the_same_run_gives_the_same_report(run, finished):
    """Random ids or times of day in the drawings; a draw, or a heat map, that differs."""
    first = _report(run).read_bytes()
    assert _report(run).read_bytes() == first
    whole = RunFolder(str(finished))
    config = whole.read().config
    first = Path(write_stage_report(config, whole)).read_bytes()
    assert content_of(first.decode())["heat"][0]["pages"]
    assert Path(write_stage_report(config, whole)).read_bytes() == first


def test_published_figures_are_marked_as_not_measured_here(run):
    """Somebody else's figures, taken for what this software measured."""
    assert "Published results" not in _report(run).read_text()
    document = json.loads((run / "run.json").read_text())
    document["config"]["data"]["eval"] = ["vidore-v2"]
    write_json(run / "run.json", document)
    tests = RunFolder(str(run)).read().config.data.eval
    figures = json.loads((run / "round-1" / "eval" / "dev.json").read_text())
    for number, dataset in product((0, 1), tests):
        path = run / f"round-{number}" / "eval" / f"{dataset.name}.json"
        write_json(path, {**figures, "dataset": dataset.name, "round": number})
    evaluated = {**RECORDED.evaluated, **{dataset.name: 2 for dataset in tests}}
    html = _report(run, evaluated=evaluated).read_text()
    own = figures["metrics"]["ndcg_at_5"]
    assert "Published results" in html
    assert f"<td>{100 * own:.2f}</td><td>linear</td>" in html
    assert html.count("; not measured here") == 1


@pytest.mark.parametrize(
    ("backbone", "words"),
    [
        ("reader", "<code>colintern download OpenGVLab/InternVL3-1B-hf</code>"),
        ("/a/model", "too small for <code>backbone.max_tiles=12</code>"),
        ("random", "random weights and cannot read"),
    ],
)
def test_a_result_at_chance_level_is_called_that_at_the_top(run, backbone, words):
    """A figure of nothing in a page that looks like success; a warning above a good figure."""
    document = json.loads((run / "run.json").read_text())
    document["config"]["backbone"]["path"] = backbone
    write_json(run / "run.json", document)
    path = run / "round-1" / "eval" / "dev.json"
    measured = json.loads(path.read_text())
    measured["chance"] = {"ndcg_at_5": 0.1}
    told = "At chance level: round 1 on dev, nDCG@5 0.500 beside 0.100 of a random order of 3 pages"
    for low in (0.4, 0.11):
        measured["ci"]["ndcg_at_5"] = [low, 0.6]
        write_json(path, measured)
        top, results = _report(run).read_text().split("<h2>Results</h2>")
        is_there = low == 0.11
        assert (told in top) == is_there
        assert (words in top) == (is_there or backbone == "random")
        assert ("0.110 to 0.600), at chance level (0.100)" in top) == is_there
        assert ("</small> <small>at chance level (0.100)</small></td>" in results) == is_there


def test_what_dev_is_and_what_tests_share_with_training_is_shown(run):
    """A dev set that nobody sees; a test set that was trained on; a run of an earlier version."""
    assert "<h2>Data</h2>" not in _report(run).read_text()
    dev = {"dataset": "mine", "is_part_of_training_set": True, "num_documents": 22}
    dev |= {"num_documents_of": 130, "documents": [EVIL, "b.pdf"], "num_pages": 40}
    dev |= {"num_pages_searched": 240, "num_questions": 61, "num_drafted": 61}
    test = {"num_questions": 9, "num_pages_searched": 50, "num_pages_in_training": 3}
    test |= {"pages_in_training": ["p1", "p2", "p3"], "num_questions_in_training": 2}
    apart = test | {"num_pages_in_training": 0, "pages_in_training": []}
    apart |= {"num_questions_in_training": 0}
    pages = test | {"num_questions_in_training": 0}
    sets = {"dev": dev, "tests": {"test-x": test, "test-y": apart, "test-z": pages}}
    write_json(run / "data.json", sets)
    html = _report(run).read_text()
    shown = re.sub(r"\s+", " ", re.sub("<[^>]+>", "", html.split("<h2>Data</h2>")[1]))
    for words in (
        "dev: 22 documents of 130 in mine, 40 pages that are taken out of training, 61 questions, "
        "240 pages searched.",
        "b.pdf and 20 more 61 of 61 questions are drafted from the text of the pages",
        "test-x: 9 questions, 50 pages searched. 3 pages and 2 questions of training also stand in "
        "it, so its figures are too good. p1, p2, p3",
        "test-y: 9 questions, 50 pages searched. None of its pages and questions are in training.",
        "test-z: 9 questions, 50 pages searched. 3 pages of training also stand in it, so its",
    ):
        assert words in shown
    assert "<script>alert" not in html
    own = {**dev, **apart, "is_part_of_training_set": False, "num_documents": 0, "documents": []}
    own["num_drafted"] = 4
    write_json(run / "data.json", {"dev": own, "tests": {}})
    shown = re.sub("<[^>]+>", "", _report(run).read_text().split("<h2>Data</h2>")[1])
    shown = re.sub(r"\s+", " ", shown)
    assert "dev: 40 pages, 9 questions, 50 pages searched. 4 of 9 questions are drafted" in shown


def test_what_was_measured_how_is_shown(run):
    """A figure of one language, or of a search that misses pages, read as that of the model."""
    path = run / "round-1" / "eval" / "dev.json"
    document = json.loads(path.read_text())
    one = {"num_queries": 3, "metrics": document["metrics"], "ci": document["ci"]}
    loss = dict(num_queries=2, recall_at_5=0.9, recall_at_100=0.8)
    loss |= {"ndcg_at_5_exact": 0.7, "ndcg_at_5_found": 0.6}
    protocol = Protocol("pooled_rerank", 500, "cpu", {}, dict.fromkeys(_ENCODING, "x"))
    document |= {"subsets": {"french": one}, "loss": loss, "protocol": protocol.document()}
    write_json(path, document)
    html = _report(run).read_text()
    assert '<th scope="row">french</th><td>3</td>' in html
    assert re.findall("<th(?! scope=)[ >]", html) == []
    assert "90.0 % of the exact top 5" in html
    assert "-0.100 against exact search (2 questions)" in html
    assert "pooled_rerank search (500 candidates) on cpu" in html
