"""The charts of the report, as SVG text; the same numbers give the same bytes."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from numpy.typing import NDArray

# Different for colour-blind readers too (after Okabe and Ito). The last three are darker than
# theirs: each has a contrast of 3 with white and with the dark page.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#C46A9B", "#B07A00", "#2E8FCB")
_INK = "#7a7f87"  # becomes the colour of the page's text, which is another one in the dark
_SETTINGS: Any = {"svg.hashsalt": "colintern", "svg.fonttype": "none", "font.family": "sans-serif"}
_DTYPE_MARKS = {"float32": "o", "float16": "s", "int8": "^", "binary": "D"}
_MARKS = "osD^v"  # of lines beyond as many as there are colours
_MOST_POINTS = 600  # of a line: the drawing is not wider on most screens
_PALE = 0.3  # opacity of what is worse than the frontier
_NAME_HEIGHT = 0.25  # inches, of a line of names
_FEW_LINES = 4  # that leave room for their names inside the drawing
Point = tuple[float, float, float]  # value, and the ends of its interval


def rounds_chart(
    series: Mapping[str, Sequence[Point]],
    metric: str,
    start: str,
    *,
    best: int | None = None,
    levels: Mapping[str, float] | None = None,
) -> str:
    """A metric after each round, with its intervals; one line per dataset.

    Args:
        series: for each dataset its points, from round 0 on.
        metric: the label of the axis.
        start: what round 0 is called.
        best: the best round, which is marked; None for none.
        levels: for some datasets the value of a baseline, drawn as a broken line.
    """
    figure, axes = _figure()
    for (name, points), (colour, mark) in zip(
        series.items(), line_styles(len(series)), strict=True
    ):
        rounds = range(len(points))
        axes.fill_between(
            rounds,
            [low for _, low, _ in points],
            [high for _, _, high in points],
            color=colour,
            alpha=0.15,
            linewidth=0,
        )
        values = [value for value, _, _ in points]
        axes.plot(rounds, values, marker=mark, color=colour, label=_plain(name))
        if name in (levels or {}):
            axes.axhline((levels or {})[name], color=colour, linestyle="--", linewidth=1)
    if best is not None:
        axes.axvline(best, color=_INK, linestyle=":", linewidth=1, zorder=0)
    longest = max((len(points) for points in series.values()), default=1)
    axes.set_xticks(range(longest), [_plain(start), *map(str, range(1, longest))])
    axes.set_xlabel("round")
    axes.set_ylabel(metric)
    axes.set_ylim(bottom=0)
    _legend(axes)
    return _svg(figure)


def loss_chart(losses: Mapping[str, Sequence[float]]) -> str:
    """Training loss at each step, and smoothed over a tenth of the steps; one line per round.

    Of many steps, the means of neighbours are drawn.

    Args:
        losses: for each round its losses, step by step.
    """
    figure, axes = _figure()
    for (name, values), (colour, _) in zip(losses.items(), line_styles(len(losses)), strict=True):
        step_N, loss_N = thinned(values)
        axes.plot(step_N, loss_N, color=colour, alpha=0.25, linewidth=0.8)
        axes.plot(step_N, smoothed(loss_N), color=colour, label=name)
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    _legend(axes)
    return _svg(figure)


def ladder_chart(rows: Sequence[Mapping[str, Any]]) -> str:
    """nDCG@5 with its interval against the size of vectors; the frontier as a line, the rest pale.

    Args:
        rows: of `RUN/ladder/{dataset}.json`; a colour and a mark stand for each `dtype`.
    """
    figure, axes = _figure()
    for (dtype, mark), colour in zip(_DTYPE_MARKS.items(), COLOURS, strict=False):
        for is_best in (False, True):
            own = [r for r in rows if r["dtype"] == dtype and r["is_on_frontier"] == is_best]
            value_N = np.array([row["ndcg_at_5"] for row in own])
            ends_N2 = np.array([row["ci"] for row in own]).reshape(-1, 2)
            axes.errorbar(
                [row["gib_per_million_pages"] for row in own],
                value_N,
                yerr=np.maximum(0.0, [value_N - ends_N2[:, 0], ends_N2[:, 1] - value_N]),
                fmt=mark,
                color=colour,
                alpha=1.0 if is_best else _PALE,
                markersize=5 if is_best else 4,
                elinewidth=0.8,
            )
        axes.plot([], [], mark, color=colour, markersize=5, label=dtype)
    best = sorted(
        (row["gib_per_million_pages"], row["ndcg_at_5"]) for row in rows if row["is_on_frontier"]
    )
    axes.plot(*zip(*best, strict=True), color=_INK, linewidth=1, zorder=0)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.tick_params(which="both", colors=_INK)
    axes.set_xlabel("GiB per million pages")
    axes.set_ylabel("nDCG@5")
    # Wide intervals leave no free corner.
    figure.legend(loc="outside upper left", ncols=len(_DTYPE_MARKS), frameon=False, labelcolor=_INK)
    return _svg(figure)


def histogram_chart(
    histograms: Mapping[str, tuple[Sequence[float], Sequence[int]]],
    label: str,
    *,
    mark: float | None,
) -> str:
    """How often each value occurs, as a share of the most frequent one; drawn over each other.

    Args:
        histograms: for each kind of value the edges of bins, one more than bins, and the counts.
        label: of the axis of values.
        mark: a value at which a line is drawn.
    """
    figure, axes = _figure(height=2.3)
    for (name, (edges, counts)), colour in zip(histograms.items(), COLOURS, strict=False):
        most = max(1, *counts)
        shares = [count / most for count in counts]
        axes.stairs(shares, edges, fill=True, color=colour, alpha=0.3, linewidth=0)
        axes.stairs(shares, edges, color=colour, linewidth=1.2, label=name)
    if mark is not None:
        axes.axvline(mark, color=_INK, linestyle=":", linewidth=1)
    axes.set_xlim(*_populated(list(histograms.values())))
    axes.set_ylim(bottom=0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(label)
    if len(histograms) > 1:
        _legend(axes)
    return _svg(figure)


def _populated(histograms: Sequence[tuple[Sequence[float], Sequence[int]]]) -> tuple[float, float]:
    """The range in which something is counted, with a little room."""
    ends = [
        edge
        for edges, counts in histograms
        for start, end, count in zip(edges[:-1], edges[1:], counts, strict=True)
        if count
        for edge in (start, end)
    ]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    room = 0.03 * (high - low)
    return low - room, high + room


def _plain(text: str) -> str:
    """A text for matplotlib, which takes dollars for formulas and leaves out names like `_x`."""
    text = text.replace("$", r"\$")
    return f"\N{ZERO WIDTH SPACE}{text}" if text.startswith("_") else text


def _figure(height: float = 2.8) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.2, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_INK)
    axes.tick_params(colors=_INK)
    axes.xaxis.label.set_color(_INK)
    axes.yaxis.label.set_color(_INK)
    axes.grid(axis="y", color=_INK, alpha=0.2, linewidth=0.6)
    return figure, axes


def _legend(axes: Axes) -> None:
    """What the lines are called; below the drawing, which gets higher, where they are many."""
    number, figure = len(axes.get_legend_handles_labels()[0]), axes.figure
    if number > _FEW_LINES and isinstance(figure, Figure):
        figure.set_figheight(figure.get_figheight() + _NAME_HEIGHT * math.ceil(number / 2))
        figure.legend(loc="outside lower left", ncols=2, frameon=False, labelcolor=_INK)
    elif number:
        axes.legend(frameon=False, labelcolor=_INK)


def line_styles(number: int) -> list[tuple[str, str]]:
    """Colours and marks for so many lines; another mark where colours begin again."""
    return list(islice(((colour, mark) for mark in cycle(_MARKS) for colour in COLOURS), number))


def thinned(values: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Steps, from 1, and values; of many the means of neighbours, `_MOST_POINTS` in all."""
    edges = np.linspace(0, len(values), min(len(values), _MOST_POINTS) + 1).astype(np.int64)
    total = np.concatenate([[0.0], np.cumsum(values)])
    return (edges[:-1] + edges[1:] + 1) / 2, np.diff(total[edges]) / np.diff(edges)


def smoothed(value_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over a twentieth of all values before and behind each."""
    width, here_N = max(1, len(value_N) // 20), np.arange(len(value_N))
    low_N, high_N = np.maximum(0, here_N - width), np.minimum(len(value_N), here_N + width + 1)
    total = np.concatenate([[0.0], np.cumsum(value_N)])
    return (total[high_N] - total[low_N]) / (high_N - low_N)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    with mpl.rc_context(_SETTINGS):
        figure.patch.set_alpha(0)
        for axes in figure.axes:
            axes.patch.set_alpha(0)
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    drawing = buffer.getvalue()[buffer.getvalue().index("<svg") :]
    # The page sets width and height. Metadata would contain links to other sites.
    drawing = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", drawing, count=1)
    drawing = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", drawing, count=1)
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    return drawing.replace(_INK, "currentColor")
