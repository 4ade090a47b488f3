"""Writes the report: one HTML file that loads nothing else. All text from data is escaped."""

from typing import Any

import jinja2
from markupsafe import Markup

from colintern import storage
from colintern.config.pinned import ADVISED, known
from colintern.errors import ReportKeptError
from colintern.evaluation.chance import beside_chance, is_at_chance
from colintern.evaluation.decision import METRIC
from colintern.evaluation.published import standings
from colintern.evaluation.titles import METRIC_TITLES, title_of_start, where_from
from colintern.records.run_folder import RunFolder
from colintern.report.charts import loss_chart, rounds_chart
from colintern.report.data import Recorded, ReportData, read_report_data

_TITLE = METRIC_TITLES[METRIC]  # of the metric that decides on rounds
_PICTURE = 'src="data:image/png;base64,'
_NO_BREAK = "\N{NO-BREAK SPACE}"


def write_report(run_path: str, recorded: Recorded) -> str:
    """Write `report.html` into a run folder, from the stages that are finished.

    It never gets worse: where a dataset cannot be read any more, and the report that stands there
    shows more pictures than a new one would, that one stays. Without one before, or with one that
    has no more pictures, the new one is written all the same.

    Args:
        run_path: a run folder with a `run.json`.
        recorded: what is finished in it; any stage may be missing.

    Returns:
        The path of the report.

    Raises:
        ReportKeptError: the one that stands there stays; the message says why.
    """
    data = read_report_data(run_path, recorded)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("colintern.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.jinja").render(
        data=data,
        metrics=METRIC_TITLES,
        start=title_of_start(data.config.training.init_heads),
        headline=_headline(data),
        at_chance=_at_chance(data),
        advised=known()[ADVISED],
        beside_chance=beside_chance,
        standings=standings(data.config.data.eval, _best(data)),
        rounds_svg=_rounds_svg(data),
        losses_svg=Markup(loss_chart(data.losses)) if data.losses else None,
        settings=_flat(data.config.model_dump(mode="json")),
    )
    path = RunFolder(run_path).report
    if data.unread is not None and _num_pictures(path) > page.count(_PICTURE):
        raise ReportKeptError(
            f"{path}: stays as it was, as a new one would show fewer pictures: {data.unread}; "
            f"with the dataset in its place, run: colintern report {run_path}"
        )
    storage.write_bytes(path, page.encode())
    return path


def _num_pictures(path: str) -> int:
    """How many pages the report at `path` shows; 0 where there is none."""
    content = storage.read_bytes_if_there(path)
    return 0 if content is None else content.count(_PICTURE.encode())


def _best(data: ReportData) -> dict[str, dict[str, Any]]:
    """The figures of the best round on each dataset that it is measured on."""
    best = data.best_round
    return {name: rounds[best] for name, rounds in data.evaluations.items() if best < len(rounds)}


def _headline(data: ReportData) -> list[str]:
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


def _at_chance(data: ReportData) -> list[str]:
    """Where the best round is no better than a random order; of untrained heads nothing is said."""
    return [
        f"round {document['round']} on {name}, nDCG@5 {document['metrics'][METRIC]:.3f} beside "
        f"{document['chance'][METRIC]:.3f} of a random order of {document['num_pages']} pages"
        for name, document in _best(data).items()
        if document["round"] and is_at_chance(document)
    ]


def _rounds_svg(data: ReportData) -> Markup | None:
    series = {
        name: [(round_["metrics"][METRIC], *round_["ci"][METRIC]) for round_ in rounds]
        for name, rounds in data.evaluations.items()
    }
    start = "start" if data.config.training.init_heads else "untrained"
    return Markup(rounds_chart(series, _TITLE, start)) if series else None


def _flat(config: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as dotted names with their values."""
    if not isinstance(config, dict):
        return [(prefix, str(config))]
    return [
        pair
        for key, value in config.items()
        for pair in _flat(value, f"{prefix}.{key}" if prefix else key)
    ]
