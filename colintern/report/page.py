"""Writes the report: one HTML file that loads nothing else. All text from data is escaped."""

import base64
import hashlib
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from colintern import storage
from colintern.config.pinned import ADVISED
from colintern.config.suited import overrides, suited
from colintern.errors import ReportKeptError
from colintern.evaluation.chance import beside_chance
from colintern.evaluation.decision import METRIC
from colintern.evaluation.published import standings
from colintern.evaluation.titles import METRIC_TITLES, title_of_start
from colintern.log import size_text
from colintern.records.run_folder import RunFolder
from colintern.report.charts import histogram_chart, loss_chart, rounds_chart
from colintern.report.costs import machines_of
from colintern.report.data import Recorded, ReportData, read_report_data
from colintern.report.examples import Example
from colintern.report.mined import MinedRound
from colintern.report.pictures import MOST_BYTES
from colintern.report.ranks import MOST_CHARACTERS, MOST_ROWS, shortened
from colintern.report.settings import changed_settings
from colintern.report.verdict import verdict

_PICTURE = b'"data:image/'
_TITLE = METRIC_TITLES[METRIC]  # of the metric that decides on rounds


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
    path = RunFolder(run_path).report
    if data.unread is not None and _num_pictures(path) > len(data.pictures.uris):
        raise ReportKeptError(
            f"{path}: stays as it was, as a new one would show fewer pictures: {data.unread}; "
            f"with the dataset in its place, run: colintern report {run_path}"
        )
    storage.write_bytes(path, rendered(data).encode())
    return path


def _num_pictures(path: str) -> int:
    """How many pictures the report at `path` has; 0 where there is none."""
    content = storage.read_bytes_if_there(path)
    return 0 if content is None else content.count(_PICTURE)


def rendered(data: ReportData) -> str:
    """The page."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("colintern.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"size": size_text, "question": shortened}
    script = _static("report.js")
    return environment.get_template("report.html.jinja").render(
        data=data,
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=Markup(_static("report.css")),
        metrics=METRIC_TITLES,
        verdict=verdict(data),
        start=title_of_start(data.config.training.init_heads),
        advised=ADVISED,
        settings_for=lambda backbone: overrides(suited(backbone)),
        beside_chance=beside_chance,
        has_data=bool(data.sets or any(data.encoded.values())),
        standings=standings(data.config.data.eval, data.best),
        rounds_svg=_rounds_svg(data),
        has_levels=bool(_bm25(data)),
        losses_svg=Markup(loss_chart(data.losses)) if data.losses else None,
        score_svgs={number: _score_svgs(mined) for number, mined in data.mined.items()},
        machines=machines_of(data.costs),
        settings=changed_settings(data.config),
        content=_content(data),
        picture_bytes=size_text(MOST_BYTES),
        most_rows=MOST_ROWS,
        most_characters=MOST_CHARACTERS,
        has_long_questions=any(
            len(text) > MOST_CHARACTERS for ranks in data.ranks.values() for text in ranks.texts
        ),
    )


def _static(name: str) -> str:
    return (files("colintern.report") / "static" / name).read_text()


def _content(data: ReportData) -> dict[str, Any]:
    """What the script of the page shows."""
    return {
        "pictures": data.pictures.uris,
        "tables": [ranks.table(data.config.run.seed) for ranks in data.ranks.values()],
        "heat": [_heat(example) for example in data.examples],
        "train": data.config.data.train.name,
        "run": data.name,
    }


def _heat(example: Example) -> dict[str, Any]:
    """The words of an example, and for each picture how they match it."""
    pages = [page for page in example.explained if page.heat and page.picture]
    return {
        "words": example.words,
        "pages": {page.picture: page.heat.document() for page in pages if page.heat},
    }


def _rounds_svg(data: ReportData) -> Markup | None:
    series = {
        name: [(round_["metrics"][METRIC], *round_["ci"][METRIC]) for round_ in rounds]
        for name, rounds in data.evaluations.items()
    }
    start = "start" if data.config.training.init_heads else "untrained"
    best = data.best_round if data.loop else None
    levels = _bm25(data)
    drawn = rounds_chart(series, _TITLE, start, best=best, levels=levels) if series else None
    return Markup(drawn) if drawn else None


def _bm25(data: ReportData) -> dict[str, float]:
    """What BM25 reaches on the datasets that it is measured on."""
    return {
        name: row.document["metrics"][METRIC]
        for name, rows in data.baselines.items()
        for row in rows
        if row.document["baseline"]["kind"] == "bm25"
    }


def _score_svgs(mined: MinedRound) -> tuple[Markup, Markup]:
    """Drawings of the scores of pages, and of the differences between right and mined ones."""
    scores = {
        "right pages": (mined.positives.edges.tolist(), mined.positives.counts.tolist()),
        "mined pages": (mined.negatives.edges.tolist(), mined.negatives.counts.tolist()),
    }
    between = {"difference": (mined.differences.edges.tolist(), mined.differences.counts.tolist())}
    return (
        Markup(histogram_chart(scores, "score", mark=None)),
        Markup(histogram_chart(between, "right page's score minus mined page's", mark=0.0)),
    )
