"""A ladder as a table for people."""

from collections.abc import Iterator, Mapping
from typing import Any

_HEAD = (
    f"  {'numbers':>7}  {'tokens':>6}  {'a page':>7}  {'type':<7}  {'bytes a page':>12}  "
    f"{'GiB, 1M pages':>13}  {'nDCG@5':>6}  {'95 % interval':<14}  against the full vectors"
)


def ladder_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """The table, the largest vectors first.

    Args:
        document: of `making.make_ladder`.
    """
    yield (
        f"round {document['round']}, {document['dataset']}: {document['num_queries']:,} questions, "
        f"{document['num_pages']:,} pages of {document['mean_tokens']:,.1f} tokens"
    )
    yield _HEAD
    yield from map(_line, document["rows"])
    yield "* no other is as small and better, or as good and smaller"
    yield "bytes: the numbers of the vectors only, not compressed, without ids and pooled vectors"


def _line(row: Mapping[str, Any]) -> str:
    mark = "*" if row["is_on_frontier"] else " "
    low, high = row["ci"]
    return (
        f"{mark} {row['dim']:>7}  {row['share']:>6}  {row['mean_tokens']:>7,.1f}  "
        f"{row['dtype']:<7}  {row['page_bytes']:>12,.0f}  "
        f"{row['gib_per_million_pages']:>13,.2f}  {row['ndcg_at_5']:>6.3f}  "
        f"{f'{low:.3f} to {high:.3f}':<14}  {_difference(row)}"
    )


def _difference(row: Mapping[str, Any]) -> str:
    if row["difference"] is None:
        return "(these are the full ones)"
    low, high = row["difference_ci"]
    return f"{row['difference']:+.3f}, {low:+.3f} to {high:+.3f}"
