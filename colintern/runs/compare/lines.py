"""A comparison as lines for the terminal."""

from collections.abc import Iterator

from colintern.evaluation.significance import Interval
from colintern.runs.compare.make import Comparison, DatasetComparison
from colintern.runs.compare.words import query_words, warnings
from colintern.runs.status import document_lines, header_line

_LEAST_WIDTH = 26  # columns for names in the table, as in that of a run


def comparison_lines(found: Comparison) -> Iterator[str]:
    """The table of metrics, then the differences on each dataset, and what is unfair in them."""
    if found.num_same:
        yield f"{found.first} is compared with itself: every difference is 0"
        yield ""
    # Room for the name of a search that is not exact, which stands behind that of the round.
    width = max(_LEAST_WIDTH, *(len(name) + 16 for name in found.chosen))
    yield header_line(width)
    for dataset in found.datasets:
        yield from document_lines(dataset.first.document, found.first, width)
        for pair in dataset.pairs:
            if pair.over:  # metrics of other queries are no metrics to stand beside
                yield from document_lines(dataset.others[pair.other].document, pair.other, width)
    for dataset in found.datasets:
        if dataset.pairs:
            yield ""
            yield from _difference_lines(dataset, found.first)


def _difference_lines(found: DatasetComparison, first: str) -> Iterator[str]:
    yield (
        f"{found.dataset}: nDCG@5 of {found.first.num_queries:,} queries, "
        f"{first} minus each other one, with the 95 % interval"
    )
    width = max(len(pair.other) for pair in found.pairs)
    for pair in found.pairs:
        if pair.over is None:
            yield f"  {pair.other:<{width}}  not comparable: {query_words(pair.differences)}"
            continue
        yield f"  {pair.other:<{width}}  {_told(pair.over)}"
        for warning in warnings(pair.differences, first, pair.other):
            yield f"  {'':<{width}}  warning: {warning}"


def _told(over: Interval) -> str:
    is_told_apart = over.low > 0 or over.high < 0
    doubt = "" if is_told_apart else "  (no real difference is seen)"
    return f"{over.mean:+.4f} [{over.low:+.4f}, {over.high:+.4f}]{doubt}"
