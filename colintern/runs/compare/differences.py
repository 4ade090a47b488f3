"""What two measurements on one dataset do not have in common.

A paired difference is defined when both have the same queries, judged alike. It is fair when they
also searched the same pages in the same way.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from colintern.data.columns import find
from colintern.data.judgements import Judgements
from colintern.features.manifest import Manifest
from colintern.runs.compare.measured import Measured

_PROTOCOL = "protocol"
_SEARCH = "search"  # in every metrics file, those without a protocol too
# What a retriever is, and not how it was measured: a round and a baseline are to differ in these.
_OF_A_RETRIEVER = ("score", "encoding", "page_tokens")


@dataclass(frozen=True)
class Queries:
    """How many queries differ.

    Attributes:
        only_first: were asked by the first alone.
        only_other: were asked by the other alone.
        judged_otherwise: were asked by both, and have other relevant pages, or other scores.
        not_asked: by each, how many count as 0 because they could not be asked.
    """

    only_first: int
    only_other: int
    judged_otherwise: int
    not_asked: tuple[int, int]

    @property
    def are_same(self) -> bool:
        """Whether a paired difference is defined."""
        same_not_asked = self.not_asked[0] == self.not_asked[1]
        return not (self.only_first or self.only_other or self.judged_otherwise) and same_not_asked


@dataclass(frozen=True)
class Pages:
    """How many searched pages differ.

    Attributes:
        only_first: are in the corpus of the first alone, by their ids.
        only_other: are in that of the other alone.
        other_images: show something else under the same id.
    """

    only_first: int
    only_other: int
    other_images: int

    @property
    def are_same(self) -> bool:
        """Whether both have searched the same."""
        return not (self.only_first or self.only_other or self.other_images)


@dataclass(frozen=True)
class Differences:
    """What the measurements of a first and of another one do not have in common.

    Attributes:
        queries: how many are not the same.
        num_pages: how many pages each has searched.
        pages: which of them are not the same; None where the features of one are gone, which alone
            tell the pages.
        protocol: what is not alike in how they were measured, each with both values.
        without_protocol: of the first and of the other, whether it does not tell how it was
            measured, as those of earlier versions.
    """

    queries: Queries
    num_pages: tuple[int, int]
    pages: Pages | None
    protocol: Mapping[str, tuple[Any, Any]]
    without_protocol: tuple[bool, bool]


def differences(first: Measured, other: Measured) -> Differences:
    """Hold two measurements against each other."""
    documents = first.document, other.document
    return Differences(
        queries=_queries(first, other),
        num_pages=(int(documents[0]["num_pages"]), int(documents[1]["num_pages"])),
        pages=_pages(first, other),
        protocol=_protocol(*documents),
        without_protocol=(_PROTOCOL not in documents[0], _PROTOCOL not in documents[1]),
    )


def _queries(first: Measured, other: Measured) -> Queries:
    own, theirs = first.judgements, other.judgements
    row_of = find(own.query_ids, theirs.query_ids)
    shared = np.flatnonzero(row_of >= 0)
    return Queries(
        only_first=len(own) - len(shared),
        only_other=len(theirs) - len(shared),
        judged_otherwise=_num_differing(own, shared, theirs, row_of[shared]),
        not_asked=(first.num_queries - len(own), other.num_queries - len(theirs)),
    )


def _num_differing(
    own: Judgements, rows: np.ndarray, theirs: Judgements, their_rows: np.ndarray
) -> int:
    """Of queries of both, how many are judged otherwise; by their rows in each."""
    pairs = zip(rows.tolist(), their_rows.tolist(), strict=True)
    return sum(own.row(row) != theirs.row(their_row) for row, their_row in pairs)


def _pages(first: Measured, other: Measured) -> Pages | None:
    if first.pages_hash is not None and first.pages_hash == other.pages_hash:
        return Pages(0, 0, 0)
    own, theirs = first.pages, other.pages
    if own is None or theirs is None:
        return None
    position = find(own.ids, theirs.ids)
    shared = np.flatnonzero(position >= 0)
    return Pages(
        only_first=len(own) - len(shared),
        only_other=len(theirs) - len(shared),
        other_images=_num_other_images(own, shared, theirs, position[shared]),
    )


def _num_other_images(
    own: Manifest, rows: np.ndarray, theirs: Manifest, their_rows: np.ndarray
) -> int:
    """Of pages of both, how many have neither equal bytes nor equal pixels."""
    differ = (own.hashes[rows] != theirs.hashes[their_rows]).any(axis=1)
    if not differ.any():  # their pictures need not be read
        return 0
    shown, theirs_shown = own.read_picture_hashes(), theirs.read_picture_hashes()
    return int((differ & (shown[rows] != theirs_shown[their_rows]).any(axis=1)).sum())


def _protocol(first: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Every key of a protocol that both have with other values, and those that one has not.

    Of two retrievers, keys that both have and that say how they were measured.
    """
    own, theirs = dict(_told(first)), dict(_told(other))
    if _retriever(first) != _retriever(other):
        shared = (key for key in own if key in theirs)
        keys = [key for key in shared if key.partition(".")[0] not in _OF_A_RETRIEVER]
    elif _PROTOCOL in first and _PROTOCOL in other:
        keys = [*own, *(key for key in theirs if key not in own)]
    else:
        keys = [key for key in own if key in theirs]
    pairs = ((key, (own.get(key), theirs.get(key))) for key in keys)
    return {key: (before, after) for key, (before, after) in pairs if before != after}


def _retriever(document: Mapping[str, Any]) -> str | None:
    """The name of a baseline; None for heads of a run."""
    return document["baseline"]["name"] if "baseline" in document else None


def _told(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """How something was measured: each key, those of nested parts with dots, and its value."""
    yield _SEARCH, document[_SEARCH]
    yield from _flat(document.get(_PROTOCOL) or {})


def _flat(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
