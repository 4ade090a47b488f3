"""What two measurements do not have in common, in words, with the numbers."""

from collections.abc import Iterator
from typing import Any

from colintern.runs.compare.differences import Differences


def query_words(found: Differences) -> str:
    """Why nothing can be paired: how the queries of the first and of the other one differ."""
    queries = found.queries
    counts = (
        (queries.only_first, "are asked in the first alone"),
        (queries.only_other, "are asked in the other alone"),
        (queries.judged_otherwise, "are judged otherwise"),
    )
    told = [f"{count:,} queries {words}" for count, words in counts if count]
    before, after = queries.not_asked
    if before != after:
        told.append(f"{before:,} and {after:,} queries could not be asked")
    return ", ".join(told)


def warnings(found: Differences, first: str, other: str) -> list[str]:
    """Why a difference is not fair, though it can be told; each on one line."""
    return [*_page_words(found, first, other), *_protocol_words(found, first, other)]


def _page_words(found: Differences, first: str, other: str) -> Iterator[str]:
    before, after = found.num_pages
    if found.pages is None:
        same = "as many" if before == after else "not as many"
        yield (
            f"whether both searched the same pages is unknown, as features are gone; they are "
            f"{same}: {before:,} and {after:,}"
        )
    elif not found.pages.are_same:
        counts = (
            (found.pages.only_first, f"only in {first}"),
            (found.pages.only_other, f"only in {other}"),
            (found.pages.other_images, "with another image under the same id"),
        )
        told = ", ".join(f"{count:,} {words}" for count, words in counts if count)
        yield f"other pages were searched ({before:,} and {after:,}): {told}"


def _protocol_words(found: Differences, first: str, other: str) -> Iterator[str]:
    if found.protocol:
        told = (f"{key} {_shown(a)} / {_shown(b)}" for key, (a, b) in found.protocol.items())
        yield f"measured in another way: {', '.join(told)}"
    names = (first, other)
    unknown = [name for name, is_so in zip(names, found.without_protocol, strict=True) if is_so]
    if len(unknown) == 1:
        yield f"how {unknown[0]} was measured is not recorded; an earlier version did not"


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)
