"""The examples of the report: queries, with pictures of the pages mined or found for them."""

import base64
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from colintern.config.schema import DataConfig, dataset_of, evaluated_names
from colintern.data.canonical import CanonicalDataset
from colintern.data.triples import Triple, read_triples
from colintern.errors import ColInternError
from colintern.evaluation.metrics import ranking_of
from colintern.evaluation.results import DEPTH, read_results
from colintern.images.decode import BadImageError, decode
from colintern.records.run_folder import RunFolder

_PICTURE_PIXELS = 260
_SHOWN_PAGES = 4
_SHOWN_QUERIES = 4
_SHOWN_TRIPLES = 3
_NOT_FOUND = DEPTH + 1  # the rank of a page that the stored results do not reach


@dataclass
class ShownPage:
    """A page in the report; `picture` is a data URI, empty when the page cannot be read."""

    page_id: str
    note: str
    is_relevant: bool
    picture: str = ""


@dataclass
class Example:
    """A query and rows of pages, each row under a title."""

    query: str
    rows: list[tuple[str, list[ShownPage]]]


def mined_examples(folder: RunFolder, data: DataConfig, last_mined: int) -> list[Example]:
    """Queries of the last mining whose negatives came closest to their positives."""
    triples = [triple for triple in read_triples(folder.triples(last_mined)) if triple.negs]
    triples.sort(
        key=lambda triple: (min(triple.pos_scores) - triple.neg_scores[0], triple.query_id)
    )
    examples = [_mined_example(triple) for triple in triples[:_SHOWN_TRIPLES]]
    _add_pictures(examples, data.train.path)
    return examples


def examples_dataset(data: DataConfig) -> str:
    """The dataset whose queries `found_examples` shows: the first test set; without one, dev."""
    dev, *tests = evaluated_names(data)
    return tests[0] if tests else dev


def found_examples(folder: RunFolder, data: DataConfig, best_round: int) -> list[Example]:
    """Some queries that the best round mended, and some that it still fails."""
    name = examples_dataset(data)
    rankings = {
        number: ranking_of(read_results(folder.results(number, name)))
        for number in sorted({1, best_round})
    }
    path = dataset_of(data, name).path
    try:
        dataset = CanonicalDataset(path)
        texts = {query.query_id: query.text for query in dataset.queries()}
        relevant = dataset.judgements()
    except ColInternError:
        return []  # the report comes without examples rather than not at all
    examples = []
    for query_id in _telling_queries(rankings[1], rankings[best_round], relevant):
        found = {number: ranking.get(query_id, ()) for number, ranking in rankings.items()}
        examples.append(_found_example(texts[query_id], found, relevant[query_id]))
    _add_pictures(examples, path)
    return examples


def _telling_queries(
    before: Mapping[str, Sequence[str]],
    after: Mapping[str, Sequence[str]],
    relevant: Mapping[str, Collection[str]],
) -> list[str]:
    """The queries whose first relevant page rose most, then those where it stands lowest."""
    rank_after = {
        query_id: _first_relevant(pages, relevant[query_id]) for query_id, pages in after.items()
    }
    changes = sorted(
        (rank - _first_relevant(before.get(query_id, ()), relevant[query_id]), query_id)
        for query_id, rank in rank_after.items()
    )
    mended = [query_id for change, query_id in changes if change < 0][: _SHOWN_QUERIES // 2]
    failing = sorted(after, key=lambda query_id: (-rank_after[query_id], query_id))
    return list(dict.fromkeys([*mended, *failing[: _SHOWN_QUERIES - len(mended)]]))


def _first_relevant(page_ids: Sequence[str], relevant: Collection[str]) -> int:
    """The rank of the first relevant page."""
    ranks = (rank for rank, page_id in enumerate(page_ids, 1) if page_id in relevant)
    return next(ranks, _NOT_FOUND)


def _found_example(
    text: str, found: Mapping[int, Sequence[str]], relevant: Collection[str]
) -> Example:
    """The best pages for a query after each round of `found`."""
    rows = []
    for round_number, page_ids in found.items():
        rank = _first_relevant(page_ids, relevant)
        shown_rank = f"over {DEPTH}" if rank == _NOT_FOUND else str(rank)
        pages = [
            ShownPage(page_id, f"rank {rank}", page_id in relevant)
            for rank, page_id in enumerate(page_ids[:_SHOWN_PAGES], 1)
        ]
        rows.append((f"round {round_number}: first relevant page at rank {shown_rank}", pages))
    return Example(text, rows)


def _mined_example(triple: Triple) -> Example:
    positive = ShownPage(triple.pos[0], f"score {triple.pos_scores[0]:.3f}", True)
    negatives = [
        ShownPage(page, f"score {score:.3f}, rank {rank}", False)
        for page, score, rank in zip(triple.negs, triple.neg_scores, triple.neg_ranks, strict=True)
    ]
    pages = [positive, *negatives[: _SHOWN_PAGES - 1]]
    return Example(triple.query, [("its page, then its hard negatives", pages)])


def _add_pictures(examples: Sequence[Example], dataset_path: str) -> None:
    shown = [page for example in examples for _, pages in example.rows for page in pages]
    wanted = {page.page_id for page in shown}
    pictures: dict[str, str] = {}
    try:
        for page_id, image in CanonicalDataset(dataset_path).images(wanted).items():
            pictures[page_id] = _data_uri(image)
    except (ColInternError, BadImageError):
        pass  # the report comes without pictures rather than not at all
    for page in shown:
        page.picture = pictures.get(page.page_id, "")


def _data_uri(image: bytes) -> str:
    picture = decode(image)
    picture.thumbnail((_PICTURE_PIXELS, _PICTURE_PIXELS), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
