"""What is counted of a dataset for a plan: pages and their sizes, queries and judgements.

No image is decoded. Of a large corpus only some row groups are read, drawn with a seed.
"""

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from colintern.config.schema import Config, DatasetConfig
from colintern.data import digests
from colintern.data.added_judgements import added_judgements
from colintern.data.canonical import CanonicalDataset
from colintern.data.columns import find
from colintern.data.compute import pc
from colintern.data.demo import demo_counts
from colintern.data.inventory import inventory_of, read_entries, row_group_sizes
from colintern.data.resolve import datasets_root, find_source
from colintern.errors import DatasetError

_READERS = 4  # threads: reading waits for storage, and decodes parquet without Python's lock


@dataclass(frozen=True)
class Census:
    """What stands in a dataset.

    Attributes:
        num_pages: that can be encoded; a sample's share of them, where only some were looked at.
        num_bad_pages: that cannot.
        num_looked_at: rows of the corpus that were read.
        is_sampled: whether the corpus has more.
        widths: in pixels, of the pages that were looked at and can be encoded, int32.
        heights: as `widths`.
        is_first: of these pages, whether no page before has the same image; only those are stored.
        texts: of the queries that can be asked, each once.
        num_queries: that can be asked.
        num_judged_queries: of these, those that are judged.
        num_pairs: of such a query and a page that is relevant to it.
    """

    num_pages: int
    num_bad_pages: int
    num_looked_at: int
    is_sampled: bool
    widths: np.ndarray
    heights: np.ndarray
    is_first: np.ndarray
    texts: pa.Array
    num_queries: int
    num_judged_queries: int
    num_pairs: int


def take_census(dataset: DatasetConfig, config: Config, max_pages: int) -> Census:
    """Count what is in a dataset, without writing anything.

    Args:
        dataset: as configured; a demo that is not written yet is known by its generator.
        config: of the run.
        max_pages: a corpus of more rows is sampled.

    Raises:
        DatasetError: it is missing, damaged, or has to be brought into a dataset folder first.
    """
    source = find_source(dataset, datasets_root(config))
    if source.write is None:
        added = added_judgements(config.data, dataset.name)
        folder = CanonicalDataset(source.folder, added=added)
        return _of_folder(folder, max_pages, config.run.seed)
    if dataset.is_demo:
        return _of_demo(dataset)
    raise DatasetError(
        f"{dataset.path}: has to be copied into a dataset folder before it can be counted; run "
        f"`colintern ingest {dataset.path} --out FOLDER` and name that folder in the settings"
    )


def _of_demo(dataset: DatasetConfig) -> Census:
    counts = demo_counts(dataset.path, str(dataset.split))
    side = np.full(counts.num_pages, counts.side, np.int32)
    texts = pa.array(counts.texts, pa.string())
    return Census(
        num_pages=counts.num_pages,
        num_bad_pages=0,
        num_looked_at=counts.num_pages,
        is_sampled=False,
        widths=side,
        heights=side,
        is_first=np.ones(counts.num_pages, bool),
        texts=texts.unique(),
        num_queries=len(texts),
        num_judged_queries=len(texts),
        num_pairs=counts.num_pairs,
    )


def _of_folder(dataset: CanonicalDataset, max_pages: int, seed: int) -> Census:
    sizes = row_group_sizes(dataset.corpus_files)
    chosen = _sample(sizes, max_pages, seed)
    with ThreadPoolExecutor(_READERS) as readers:
        tables = list(readers.map(lambda group: read_entries(*group[:2]), chosen))
    found = inventory_of([group[:2] for group in chosen], tables)
    is_usable = pc.is_null(found.reasons).to_numpy(zero_copy_only=False)
    is_usable[1:] &= pc.not_equal(found.ids[1:], found.ids[:-1]).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(is_usable)
    is_first = np.zeros(len(rows), bool)
    is_first[digests.first_rows(found.hashes[rows])] = True
    num_rows = sum(number for _, _, number in sizes)
    share = num_rows / max(1, len(found))
    num_bad = len(found.bad())
    judgements, queries = dataset.judgements(), dataset.asked
    asked = find(judgements.query_ids, queries.ids) >= 0
    return Census(
        num_pages=round(len(rows) * share),
        num_bad_pages=round(num_bad * share),
        num_looked_at=len(found),
        is_sampled=len(found) < num_rows,
        widths=found.widths[rows],
        heights=found.heights[rows],
        is_first=is_first,
        texts=queries.texts.unique(),
        num_queries=len(queries),
        num_judged_queries=int(asked.sum()),
        num_pairs=int(np.diff(judgements.offsets)[asked].sum()),
    )


def _sample(
    groups: Sequence[tuple[str, int, int]], max_pages: int, seed: int
) -> list[tuple[str, int, int]]:
    """All row groups, or enough of them, drawn with a seed, for about `max_pages` rows."""
    if sum(number for _, _, number in groups) <= max_pages:
        return list(groups)
    drawn, num_rows = [], 0
    for group in random.Random(seed).sample(groups, len(groups)):
        if drawn and num_rows + group[2] > max_pages:
            break
        drawn.append(group)
        num_rows += group[2]
    return drawn
