"""Asking a finished run: the best pages for a query, from any corpus."""

from dataclasses import dataclass

import numpy as np

from colintern import storage
from colintern.data.canonical import CanonicalDataset
from colintern.data.text import bad_query_reason
from colintern.errors import UserError
from colintern.images.decode import suffix_of
from colintern.model.backbone import FrozenBackbone
from colintern.retrieval.finished import FinishedRun, open_finished
from colintern.runs.workers import Workers
from colintern.scoring.queries import EmbeddedQueries
from colintern.search import order, searcher
from colintern.search.shard import CorpusShard
from colintern.search.shards import LocalShards


@dataclass(frozen=True)
class Hit:
    """A page found for a query; ranks start at 1."""

    rank: int
    score: float
    page_id: str
    doc_id: str | None


def search_run(
    run_path: str,
    query: str,
    depth: int,
    dataset: str | None = None,
    workers: Workers | None = None,
) -> list[Hit]:
    """The best `depth` pages for `query`, by the run's best round.

    Args:
        run_path: the run folder.
        query: a text that a dataset's query may be.
        depth: how many pages, at least 1; a smaller corpus gives all that it has.
        dataset: a dataset of the run by its name, or the path of one that the run has never seen,
            which is encoded on first use; None takes the first test set, or the training set.
        workers: who encodes; None takes those of a Ray cluster, which is joined or started only
            when something has to be encoded.

    Raises:
        UserError: the query cannot be asked, or no page is asked for.
    """
    if reason := bad_query_reason(query):
        raise UserError(f"QUERY: {reason}; ask in a few words")
    if depth < 1:
        raise UserError(f"-k {depth}: must be at least 1")
    run = open_finished(run_path)
    store = run.store(run.dataset(dataset), workers)
    queries = _embedded(run, query)
    pages = store.pages
    shard = CorpusShard(pages, run.heads, np.arange(len(pages)))
    keys = next(searcher.exact(LocalShards([shard]), queries, min(depth, len(pages))))[0]
    rows = map(pages.row, order.to_ordinals(keys).tolist())
    found = zip(order.to_scores(keys).tolist(), rows, strict=True)
    return [
        Hit(rank, score, page.id, page.doc_id) for rank, (score, page) in enumerate(found, start=1)
    ]


def save_images(run_path: str, dataset: str | None, hits: list[Hit], folder: str) -> list[str]:
    """Write the pictures of found pages into `folder`, named by rank; returns their paths."""
    run = open_finished(run_path)
    ranks = {hit.page_id: hit.rank for hit in hits}
    corpus = CanonicalDataset(run.dataset(dataset).path)
    written = []
    for page_id, image in corpus.images(ranks).items():
        path = storage.join(folder, f"{ranks[page_id]:03d}.{suffix_of(image)}")
        storage.write_bytes(path, image)
        written.append(path)
    return sorted(written)


def _embedded(run: FinishedRun, query: str) -> EmbeddedQueries:
    """The query as one from a store would be: its features as stores keep them."""
    features = FrozenBackbone(run.config.backbone).encode_queries([query])[0]
    stored = run.codec.encode_query(features)
    return EmbeddedQueries(run.heads.exact_queries(stored.decoded()), (len(stored),))
