"""The examples in the report: queries, with small images of the pages mined or found for them."""

import base64
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image

from colintern.config.schema import DataConfig, dataset_of, evaluated_names
from colintern.data.added_judgements import added_judgements
from colintern.data.canonical import CanonicalDataset
from colintern.data.triples import Triple, read_triples
from colintern.errors import ColInternError, one_line
from colintern.evaluation.metrics import ranking_of
from colintern.evaluation.results import DEPTH, read_results
from colintern.images.decode import BadImageError, decode
from colintern.records.run_folder import RunFolder

_IMAGE_PIXELS = 260  # the longer side
_SHOWN_PAGES = 4
_SHOWN_QUERIES = 4
_SHOWN_TRIPLES = 3
_NOT_FOUND = DEPTH + 1  # stands for the rank of a page that is not in the stored results


@dataclass
class ShownPage:
    """A page in the report.

    Attributes:
        page_id: its id.
        note: what is written below it.
        is_relevant: whether it is judged relevant for the query.
        image: a small image as a data URI; empty if the page cannot be read.
    """

    page_id: str
    note: str
    is_relevant: bool
    image: str = ""


@dataclass
class ShownQuery:
    """A query in the report, with rows of pages; each row has a title."""

    query: str
    rows: list[tuple[str, list[ShownPage]]]


@dataclass
class Examples:
    """Some queries to show.

    Attributes:
        queries: with their pages.
        unread: why pictures are missing, or all examples of a dataset; None where none are.
    """

    queries: list[ShownQuery] = field(default_factory=list)
    unread: str | None = None


def mined_examples(folder: RunFolder, data: DataConfig, last_mined: int) -> Examples:
    """The queries with the hardest negatives: closest in score to their positives.

    Args:
        folder: of the run.
        data: the run's datasets.
        last_mined: the last round that was mined for.
    """
    triples = [triple for triple in read_triples(folder.triples(last_mined)) if triple.negs]
    triples.sort(
        key=lambda triple: (min(triple.pos_scores) - triple.neg_scores[0], triple.query_id)
    )
    examples = [_mined_query(triple) for triple in triples[:_SHOWN_TRIPLES]]
    return Examples(examples, _add_images(examples, data.train.path))


def examples_dataset(data: DataConfig) -> str:
    """The dataset that `found_examples` is about: the first test set, or dev if there is none."""
    dev, *tests = evaluated_names(data)
    return tests[0] if tests else dev


def found_examples(folder: RunFolder, data: DataConfig, best_round: int) -> Examples:
    """Some queries that the best round improved, and some that it still gets wrong.

    Args:
        folder: of the run.
        data: the run's datasets.
        best_round: from 1.
    """
    name = examples_dataset(data)
    entry = dataset_of(data, name)
    path = entry.path
    try:
        dataset = CanonicalDataset(path, added=added_judgements(data, entry.name))
        texts = {query.query_id: query.text for query in dataset.queries()}
        relevant = dataset.judgements()
    except ColInternError as error:
        return Examples(unread=one_line(error))  # a report without examples is better than none
    rankings = {
        number: ranking_of(read_results(folder.results(number, name)))
        for number in sorted({1, best_round})
    }
    # The dataset may have changed since the run.
    after = {
        query_id: page_ids
        for query_id, page_ids in rankings[best_round].items()
        if query_id in texts and query_id in relevant
    }
    examples = []
    for query_id in _chosen_queries(rankings[1], after, relevant):
        found = {number: ranking.get(query_id, ()) for number, ranking in rankings.items()}
        examples.append(_found_query(texts[query_id], found, relevant[query_id]))
    return Examples(examples, _add_images(examples, path))


def _chosen_queries(
    before: Mapping[str, Sequence[str]],
    after: Mapping[str, Sequence[str]],
    relevant: Mapping[str, Collection[str]],
) -> list[str]:
    """Queries whose first relevant page rose most, then those where it has the worst rank.

    Args:
        before: the pages found for each query after round 1, best first.
        after: those after the best round; only these queries are chosen from.
        relevant: the relevant pages of each query in `after`.
    """
    rank_after = {
        query_id: _first_relevant(pages, relevant[query_id]) for query_id, pages in after.items()
    }
    changes = sorted(
        (rank - _first_relevant(before.get(query_id, ()), relevant[query_id]), query_id)
        for query_id, rank in rank_after.items()
    )
    improved = [query_id for change, query_id in changes if change < 0][: _SHOWN_QUERIES // 2]
    worst = sorted(after, key=lambda query_id: (-rank_after[query_id], query_id))
    return list(dict.fromkeys([*improved, *worst[: _SHOWN_QUERIES - len(improved)]]))


def _first_relevant(page_ids: Sequence[str], relevant: Collection[str]) -> int:
    """The rank of the first relevant page, from 1; `_NOT_FOUND` if there is none."""
    ranks = (rank for rank, page_id in enumerate(page_ids, 1) if page_id in relevant)
    return next(ranks, _NOT_FOUND)


def _found_query(
    text: str, found: Mapping[int, Sequence[str]], relevant: Collection[str]
) -> ShownQuery:
    """A query with its best pages after each round in `found`."""
    rows = []
    for round_number, page_ids in found.items():
        rank = _first_relevant(page_ids, relevant)
        found_at = f"not in the first {DEPTH}" if rank == _NOT_FOUND else f"at rank {rank}"
        pages = [
            ShownPage(page_id, f"rank {rank}", page_id in relevant)
            for rank, page_id in enumerate(page_ids[:_SHOWN_PAGES], 1)
        ]
        rows.append((f"round {round_number}: first relevant page {found_at}", pages))
    return ShownQuery(text, rows)


def _mined_query(triple: Triple) -> ShownQuery:
    positive = ShownPage(triple.pos[0], f"score {triple.pos_scores[0]:.3f}", True)
    negatives = [
        ShownPage(page, f"score {score:.3f}, rank {rank}", False)
        for page, score, rank in zip(triple.negs, triple.neg_scores, triple.neg_ranks, strict=True)
    ]
    pages = [positive, *negatives[: _SHOWN_PAGES - 1]]
    return ShownQuery(triple.query, [("the right page, then its hard negatives", pages)])


def _add_images(examples: Sequence[ShownQuery], dataset_path: str) -> str | None:
    """Show the pages; returns why some of them cannot be shown, if so."""
    shown = [page for example in examples for _, pages in example.rows for page in pages]
    wanted = {page.page_id for page in shown}
    unread: str | None = None
    found: dict[str, bytes] = {}
    images: dict[str, str] = {}
    try:
        found = CanonicalDataset(dataset_path).images(wanted)
    except ColInternError as error:  # a report without images is better than none
        unread = one_line(error)
    for page_id, image in found.items():
        try:
            images[page_id] = _data_uri(image)
        except BadImageError as error:
            unread = f"{dataset_path}: page {page_id}: {error}"
    for page in shown:
        page.image = images.get(page.page_id, "")
    lost = sorted(wanted - found.keys())
    return unread or (f"{dataset_path}: has no page {lost[0]} any more" if lost else None)


def _data_uri(image: bytes) -> str:
    small = decode(image)
    small.thumbnail((_IMAGE_PIXELS, _IMAGE_PIXELS), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
