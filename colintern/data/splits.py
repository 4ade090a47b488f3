"""Taking a dev set out of the training queries, so that nothing of it is seen in training.

Pages that belong together stay together: those of one document, those that show the same, and
those that answer the same question. Such groups are dealt to dev whole, in an order that the seed
decides, until it has its share of the questions.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from colintern.data.canonical import CanonicalDataset
from colintern.data.text import normalised
from colintern.data.views import Judgements, View, make_view
from colintern.errors import DatasetError

_MOST = 1.5  # times its share may dev become by its last group


@dataclass(frozen=True)
class PageKey:
    """What ties a page to others: its document, if known, and what it shows (`Items.pictures`)."""

    page_id: str
    picture: int
    doc_id: str | None


def split_views(
    name: str, dataset: CanonicalDataset, pages: Sequence[PageKey], dev_fraction: float, seed: int
) -> tuple[View, View]:
    """A training view and a dev view of one dataset.

    Dev is searched over all pages; the groups dealt to dev are neither trained on nor mined.

    Args:
        name: of the training view.
        dataset: where queries and judgements are read.
        pages: those that have features, sorted by id.
        dev_fraction: about this share of the query texts becomes dev.
        seed: another one deals other groups.

    Raises:
        DatasetError: one of the two would be empty.
    """
    queries, judgements = dataset.queries(), dataset.judgements()
    texts = {query.query_id: normalised(query.text) for query in queries}
    group_of = _groups(pages, judgements, texts)
    asked: dict[str, set[str]] = {}
    for query_id, text in texts.items():
        for page_id in judgements.get(query_id, {}):
            if page_id in group_of:
                asked.setdefault(group_of[page_id], set()).add(text)
    dev_groups = _dealt(asked, dev_fraction, seed)

    def side(in_dev: bool) -> Judgements:
        """Whole queries: the pages that answer one are of one group, or have no features.

        A query that cannot be asked ties no pages together, and may be on both sides.
        """
        return {
            query: found
            for query, found in judgements.items()
            if any((group_of[page] in dev_groups) == in_dev for page in found if page in group_of)
        }

    kept = [page.page_id for page in pages if group_of[page.page_id] not in dev_groups]
    train = make_view(name, kept, queries, side(False))
    dev = make_view("dev", [page.page_id for page in pages], queries, side(True))
    if not train.queries or not dev.queries:
        empty = "training" if not train.queries else "dev"
        raise DatasetError(
            f"{dataset.path}: data.dev_fraction={dev_fraction} leaves no {empty} queries "
            f"(documents, equal pages and equal questions are kept together: {len(asked)} groups); "
            "change it or name a data.dev of its own"
        )
    return train, dev


def _groups(
    pages: Iterable[PageKey], judgements: Judgements, texts: Mapping[str, str]
) -> dict[str, str]:
    """Page id to the first page id of its group."""
    parent: dict[str, str] = {}

    def root(page_id: str) -> str:
        while parent[page_id] != page_id:
            parent[page_id] = parent[parent[page_id]]
            page_id = parent[page_id]
        return page_id

    ties: dict[tuple[str, str], list[str]] = {}
    for page in pages:
        parent[page.page_id] = page.page_id
        ties.setdefault(("picture", page.picture), []).append(page.page_id)
        if page.doc_id is not None:
            ties.setdefault(("document", page.doc_id), []).append(page.page_id)
    for query_id, text in texts.items():
        answers = [page_id for page_id in judgements.get(query_id, {}) if page_id in parent]
        ties.setdefault(("question", text), []).extend(answers)
    for tied in ties.values():
        for page_id in tied[1:]:
            first, second = sorted((root(tied[0]), root(page_id)))
            parent[second] = first
    return {page_id: root(page_id) for page_id in parent}


def _dealt(asked: Mapping[str, set[str]], fraction: float, seed: int) -> set[str]:
    """The groups that become dev; a group that would make it much too large is passed over.

    When all are too large, as those of a few long documents are, dev is the smallest.
    """

    def order(group: str) -> bytes:
        return hashlib.sha256(f"{seed} {group}".encode()).digest()

    share = fraction * len(set().union(*asked.values()))
    dealt: set[str] = set()
    count = 0
    for group in sorted(asked, key=order):
        if count < share and count + len(asked[group]) <= max(1.0, _MOST * share):
            dealt.add(group)
            count += len(asked[group])
    if not dealt and len(asked) > 1:
        dealt.add(min(asked, key=lambda group: (len(asked[group]), order(group))))
    return dealt
