"""Two rankings of the same queries, compared from what is on storage."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from colintern.data.judgements import Judgements
from colintern.evaluation.paired import difference
from colintern.evaluation.results import SCHEMA
from colintern.evaluation.significance import paired_interval


def _results(path: Path, found: dict[str, list[str]]) -> str:
    rows = [
        {"query_id": query_id, "page_id": page_id, "score": 1 / rank, "rank": rank}
        for query_id, page_ids in found.items()
        for rank, page_id in enumerate(page_ids, 1)
    ]
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), path)
    return str(path)


def test_a_query_that_found_nothing_counts(tmp_path):
    """BM25 that looks better as its hardest questions, without a known word, are left out."""
    judged = {f"q{n}": {"p0": 1} for n in range(4)} | {"elsewhere": {"p0": 1}}
    after = {"q0": ["p0"], "q1": ["p1", "p0"], "q2": ["p0"]}  # q3 is blank: not asked
    before = {"q0": ["p0"], "q2": ["p1"]}  # q1 had no known word
    second = 1 / np.log2(3)
    gain = difference(
        Judgements.from_mapping(judged),
        _results(tmp_path / "after.parquet", after),
        _results(tmp_path / "before.parquet", before),
        num_queries=4,
        seed=3,
    )
    wanted = paired_interval(np.array([1, second, 1, 0]), np.array([1.0, 0, 0, 0]), seed=3)
    assert gain.mean == pytest.approx((second + 1) / 4)
    assert (gain.low, gain.high) == pytest.approx((wanted.low, wanted.high))
