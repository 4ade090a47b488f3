"""The verdict of the report, in words: how good, against what, whether mining helped, what next."""

from dataclasses import dataclass, field

from colintern.config.schema import DEV
from colintern.evaluation.chance import beside_chance, is_at_chance
from colintern.evaluation.decision import METRIC, MIN_QUERIES
from colintern.evaluation.significance import Interval
from colintern.evaluation.titles import METRIC_TITLES, where_from
from colintern.report.baselines import ShownBaseline
from colintern.report.data import ReportData

_TITLE = METRIC_TITLES[METRIC]  # of the metric that decides on rounds
_NO_BREAK = "\N{NO-BREAK SPACE}"
_NO_ROUND = "No round is trained and evaluated yet."


@dataclass(frozen=True)
class Verdict:
    """What stands at the top of the report.

    Attributes:
        main: one sentence.
        at_chance: where the best round is no better than a random order of the pages.
        findings: what is said of the start, of baselines and of mining.
        figures: for each dataset its metric before training and after the best round.
        next_steps: what to do now, the most useful first.
    """

    main: str
    at_chance: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)
    next_steps: list[str] = field(default_factory=list)


def verdict(data: ReportData) -> Verdict:
    """Judge what is recorded of a run."""
    figures = _figures(data)
    if not figures:
        return Verdict(_NO_ROUND)
    return Verdict(
        main=_main(data),
        at_chance=_at_chance(data),
        findings=[*_against_start(data), *_against_baselines(data), *_mining(data)],
        figures=figures,
        next_steps=_next_steps(data),
    )


def _main(data: ReportData) -> str:
    ranks = data.ranks.get(data.queries_of)
    if ranks is None:
        by = "the best one by dev" if data.loop else "the last one that is measured"
        return f"Round {data.best_round} is {by}."
    counts = ranks.counts
    first, total = counts["won"] + counts["right"], len(ranks.query_ids)
    return (
        f"After round {data.best_round}, the first page found is a right one for "
        f"{_share(first, total)} questions of {data.queries_of}."
    )


def _share(part: int, total: int) -> str:
    if total < MIN_QUERIES:
        return f"{part} of the {total}"
    return f"{100 * part / total:.0f}{_NO_BREAK}% of the {total:,}"


def _at_chance(data: ReportData) -> list[str]:
    """Of untrained heads nothing is said."""
    return [
        f"round {document['round']} on {name}, {_TITLE} {document['metrics'][METRIC]:.3f} beside "
        f"{document['chance'][METRIC]:.3f} of a random order of {document['num_pages']:,} pages"
        for name, document in data.best.items()
        if document["round"] and is_at_chance(document)
    ]


def _figures(data: ReportData) -> list[str]:
    """A sentence for each dataset: its nDCG@5 before training and after the best round."""
    start = where_from(data.config.training.init_heads)
    before = "untrained" if start is None else f"at the start ({start})"
    sentences = []
    for name, rounds in data.evaluations.items():
        best = data.loop["best_round"] if data.loop else len(rounds) - 1
        if len(rounds) <= best or best == 0:
            continue
        low, high = rounds[best]["ci"][METRIC]
        values = [round_["metrics"][METRIC] for round_ in rounds]
        chance = beside_chance(rounds[best])
        behind = f", {chance}" if chance else ""
        middle = f", {values[1]:.3f} after round 1" if best > 1 else ""
        sentences.append(
            f"{name}: {_TITLE} {values[0]:.3f} {before}{middle}, {values[best]:.3f} "
            f"after round {best} (95{_NO_BREAK}% interval {low:.3f} to {high:.3f}){behind}"
        )
    return sentences


def _against_start(data: ReportData) -> list[str]:
    """That the heads before round 1 are as good on dev as those of every round, if they are."""
    rounds, dev = (data.loop or {"rounds": []})["rounds"], data.evaluations.get(DEV)
    if not rounds or not dev:
        return []
    before, best = dev[0]["metrics"][METRIC], max(entry["dev"] for entry in rounds)
    if before < best:
        return []
    start = where_from(data.config.training.init_heads) or "untrained heads"
    return [
        f"No round is better than the start, {start}: {_TITLE} {before:.3f} on dev, best round "
        f"{best:.3f}."
    ]


def _against_baselines(data: ReportData) -> list[str]:
    """Each baseline on the dataset of the title; on dev where it is measured there alone."""
    sentences: dict[str, str] = {}
    for dataset in (data.queries_of, DEV):
        for row in data.baselines.get(dataset, []):
            if row.gain:
                sentences.setdefault(row.title, _against(row, dataset))
    return list(sentences.values())


def _against(row: ShownBaseline, dataset: str) -> str:
    gain, value = row.gain, row.document["metrics"][METRIC]
    assert gain is not None
    found = f"{_TITLE} {value:.3f} on {dataset}; this run {_gain(gain)}"
    if gain.low > 0:
        return f"Better than {row.title} ({found})."
    if gain.high < 0:
        return f"Worse than {row.title} ({found})."
    return f"Not clearly better or worse than {row.title} ({found})."


def _mining(data: ReportData) -> list[str]:
    """What each later round gained on dev, by the decisions; most are on mined negatives."""
    percent = f"{100 * data.config.loop.confidence:g}{_NO_BREAK}%"
    sentences = []
    for entry in (data.loop or {"rounds": []})["rounds"]:
        number, (low, high) = entry["round"], entry["ci"]
        if number == 1:
            continue
        what = "mining" if number in data.mined else "more training without mining"
        if _has_few_questions(data):
            found = f"Dev is too small to tell whether {what} helped"
        elif low > 0:
            found = f"{what.capitalize()} helped"
        elif high < 0:
            found = f"{what.capitalize()} made it worse"
        else:
            found = f"{what.capitalize()} made no clear difference"
        sentences.append(
            f"{found}: round {number} {entry['gain']:+.3f} {_TITLE} on dev, {percent} interval "
            f"{low:+.3f} to {high:+.3f}."
        )
    return sentences


def _has_few_questions(data: ReportData) -> bool:
    """Whether the loop could not judge a gain on dev."""
    dev = data.evaluations.get(DEV)
    return bool(dev) and dev[0]["num_queries"] < MIN_QUERIES


def _gain(gain: Interval) -> str:
    return f"{gain.mean:+.3f}, 95{_NO_BREAK}% interval {gain.low:+.3f} to {gain.high:+.3f}"


def _next_steps(data: ReportData) -> list[str]:
    rounds = data.loop["rounds"] if data.loop else []
    last = rounds[-1] if rounds else None
    steps = []
    if data.loop is None or (last and last["decision"] == "continue"):
        told = f"another round follows round {last['round']}" if last else "nothing is decided yet"
        steps.append(f"Go on: the run is not finished, {told}. Run the same command again.")
    if _has_few_questions(data):
        num_queries = data.evaluations[DEV][0]["num_queries"]
        steps.append(
            f"Give dev more questions: it has {num_queries}, and with fewer than "
            f"{MIN_QUERIES} a gain cannot be told from chance."
        )
    if last and last["ci"][0] > 0 and last["round"] >= data.config.loop.max_rounds:
        steps.append(
            f"Go on: round {last['round']} still gained, and the loop ended at loop.max_rounds="
            f"{data.config.loop.max_rounds}. Raise it and run the same command again."
        )
    if not data.baselines:
        steps.append(
            "Compare with a simple search: colintern baseline RUN measures BM25, where the pages "
            "have text, and one vector a page."
        )
    if data.mined and not _at_chance(data):  # what such heads take for near is any page
        steps.append(
            "Judge some mined pages below: every right page among them teaches the heads a mistake."
        )
    return steps
