"""The verdict: what is said first follows from the figures."""

import json

import pytest

from colintern.evaluation.significance import Interval
from colintern.report.baselines import ShownBaseline
from colintern.report.data import ReportData, read_report_data
from colintern.report.verdict import verdict
from tests.report.helpers import RECORDED, write_json


def _data(run, rounds: list[dict], **measured) -> ReportData:
    """The run of the fixture with other decisions."""
    path = run / "round-1/eval/dev.json"
    write_json(path, {**json.loads(path.read_text()), **measured})
    write_json(run / "loop.json", {"rounds": rounds, "best_round": 1})
    return read_report_data(str(run), RECORDED)


def _round(number: int, low: float, high: float) -> dict:
    gain = {"gain": (low + high) / 2, "ci": [low, high]}
    return {"round": number, "dev": 0.6, **gain, "decision": "stop", "reason": "because"}


@pytest.mark.parametrize(
    ("interval", "num_queries", "words"),
    [
        ((0.01, 0.03), 50, "Mining helped: round 2 +0.020 nDCG@5 on dev"),
        ((-0.01, 0.03), 50, "Mining made no clear difference: round 2 +0.010 nDCG@5 on dev"),
        ((-0.03, -0.01), 50, "Mining made it worse: round 2 -0.020 nDCG@5 on dev"),
        ((0.01, 0.03), 49, "Dev is too small to tell whether mining helped: round 2 +0.020"),
    ],
)
def test_whether_mining_helped(run, interval, num_queries, words):
    """A gain within chance that is called one; round 1, which has no mined pages, credited."""
    path = run / "round-0/eval/dev.json"
    write_json(path, {**json.loads(path.read_text()), "num_queries": num_queries})
    data = _data(run, [_round(1, 0.2, 0.3), _round(2, *interval)])
    (sentence,) = verdict(data).findings
    assert sentence.startswith(words)


@pytest.mark.parametrize(
    ("init_heads", "start"),
    [(None, "untrained heads"), ("/runs/old/round-3/heads", "round 3 of old")],
)
def test_rounds_that_are_no_better_than_the_start_are_told(run, init_heads, start):
    """New heads taken for better ones, after a day in which they only lost."""
    document = json.loads((run / "run.json").read_text())
    document["config"]["training"]["init_heads"] = init_heads
    write_json(run / "run.json", document)
    rounds = [{**_round(number, -0.2, -0.1), "dev": dev} for number, dev in ((1, 0.5), (2, 0.4))]
    told = f"No round is better than the start, {start}: nDCG@5 0.500 on dev, best round 0.500."
    assert verdict(_data(run, rounds)).findings[0] == told
    rounds[1]["dev"] = 0.51
    assert not any("No round" in words for words in verdict(_data(run, rounds)).findings)


def test_rounds_without_mining_are_no_credit_to_it(run):
    """`Mining helped` of a run with training.negatives_per_query=0."""
    path = run / "round-0/eval/dev.json"
    write_json(path, {**json.loads(path.read_text()), "num_queries": 50})
    data = _data(run, [_round(1, 0.2, 0.3), _round(2, 0.01, 0.03)])
    data.mined = {}
    (sentence,) = verdict(data).findings
    assert sentence.startswith("More training without mining helped: round 2 +0.020")


@pytest.mark.parametrize(
    ("rounds", "main", "step"),
    [
        (None, "Round 1 is the last one that is measured.", "nothing is decided yet"),
        ("continue", "Round 1 is the best one by dev.", "another round follows round 1"),
        ("stop", "Round 1 is the best one by dev.", None),
    ],
)
def test_a_run_that_was_killed_says_that_it_is_not_finished(run, rounds, main, step):
    """The best round of a loop that has not decided; half a run read as a whole one."""
    data = _data(run, [{**_round(1, 0.2, 0.3), "decision": rounds}])
    if rounds is None:
        data.loop = None
    found = verdict(data)
    assert found.main == main
    unfinished = [words for words in found.next_steps if "not finished" in words]
    assert len(unfinished) == (step is not None)
    assert step is None or step in unfinished[0]


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        (Interval(0.2, 0.1, 0.3), "Better than bm25 (nDCG@5 0.300 on dev; this run +0.200, 95"),
        (Interval(0.0, -0.1, 0.1), "Not clearly better or worse than bm25"),
        (Interval(-0.2, -0.3, -0.1), "Worse than bm25"),
    ],
)
def test_what_it_is_compared_with(run, gain, words):
    """A run that loses to a search for words, and does not say so."""
    document = {"baseline": {"kind": "bm25", "name": "bm25"}, "metrics": {"ndcg_at_5": 0.3}}
    data = _data(run, [])
    data.queries_of = "dev"
    assert any("colintern baseline RUN" in step for step in verdict(data).next_steps)
    data.baselines = {"dev": [ShownBaseline("bm25", "", document, gain)]}
    found = verdict(data)
    assert found.findings[0].startswith(words)
    assert not any("colintern baseline RUN" in step for step in found.next_steps)


def test_a_baseline_that_only_dev_has_is_told(run):
    """BM25 wins on dev, a test set has no text, and the run says what it is better than alone."""
    data = _data(run, [])
    data.queries_of = "unseen"
    rows = {
        name: ShownBaseline(
            name, "", {"metrics": {"ndcg_at_5": 0.3}}, Interval(gain, gain - 0.01, gain + 0.01)
        )
        for name, gain in (("pooled", 0.5), ("bm25", -0.2))
    }
    data.baselines = {"unseen": [rows["pooled"]], "dev": list(rows.values())}
    pooled, bm25 = verdict(data).findings
    assert pooled.startswith("Better than pooled (nDCG@5 0.300 on unseen;")
    assert bm25.startswith("Worse than bm25 (nDCG@5 0.300 on dev;")


@pytest.mark.parametrize(
    ("number", "low", "num_queries", "told"),
    [
        (2, 0.1, 500, "Go on: round 2 still gained"),
        (2, -0.1, 500, None),
        (1, 0.1, 500, None),
        (2, -0.1, 20, "Give dev more questions: it has 20"),
    ],
)
def test_what_to_do_next(run, number, low, num_queries, told):
    """Another round for nothing; a loop that ended too early; a dev set that can tell nothing."""
    path = run / "round-0/eval/dev.json"
    write_json(path, {**json.loads(path.read_text()), "num_queries": num_queries})
    data = _data(run, [_round(number, low, 0.3)])
    assert data.config.loop.max_rounds == 2
    steps = verdict(data).next_steps
    first = [step for step in steps if step.startswith(("Go on", "Give dev"))]
    assert len(first) == (told is not None)
    assert told is None or first[0].startswith(told)


def test_mined_pages_of_heads_at_chance_level_are_not_to_be_judged(run):
    """An hour of answers about pages that were drawn by chance."""
    for low, is_asked in ((0.4, True), (0.11, False)):
        measured = {"ci": {"ndcg_at_5": [low, 0.6]}, "chance": {"ndcg_at_5": 0.1}}
        steps = verdict(_data(run, [_round(2, -0.1, 0.3)], **measured)).next_steps
        assert any(step.startswith("Judge some mined pages") for step in steps) == is_asked
