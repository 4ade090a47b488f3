"""Results are written as they come, to the bytes of a table that was whole in memory."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from colintern.evaluation import results
from colintern.evaluation.results import DEPTH, SCHEMA, ranked_queries, writing_results


def _results(num_queries: int, depth: int) -> pa.Table:
    draw = np.random.default_rng(0)
    columns = [
        np.repeat([f"q{number:05d}" for number in range(num_queries)], depth),
        [f"page-{page:07d}" for page in draw.integers(0, 10**6, num_queries * depth)],
        draw.random(num_queries * depth, dtype=np.float32),
        np.tile(np.arange(1, depth + 1, dtype=np.int32), num_queries),
    ]
    return pa.table(list(map(pa.array, columns)), SCHEMA.names).cast(SCHEMA)


@pytest.mark.parametrize(
    ("num_queries", "depth", "group_rows"),
    [(0, 1, 2**20), (3, 100, 2**20), (1_000, 100, 2**20), (800, 130, 2**20), (800, 130, 50_000)],
)
def test_the_bytes_are_those_of_earlier_versions(
    tmp_path, monkeypatch, num_queries, depth, group_rows
):
    """An evaluation that is repeated and gives another file, as rows were cut otherwise."""
    monkeypatch.setattr(results, "_GROUP_ROWS", group_rows)
    found = _results(num_queries, depth)
    before = io.BytesIO()
    kept = found.filter(pc.field("rank") <= DEPTH)
    pq.write_table(kept, before, row_group_size=group_rows, compression="zstd")
    path = tmp_path / "results.parquet"
    with writing_results(str(path)) as write:
        for start in range(0, len(found), 128 * depth):
            write(found.slice(start, 128 * depth))
    assert path.read_bytes() == before.getvalue()


def test_ranked_queries_are_whole_wherever_the_file_is_cut(tmp_path, monkeypatch):
    """A query whose pages stand on both sides of a cut, judged as two with half of them each."""
    monkeypatch.setattr(results, "_CHUNK_ROWS", 7)
    found, path = _results(20, 12), str(tmp_path / "results.parquet")
    with writing_results(path) as write:
        write(found)
    ranked = dict(ranked_queries(path, 10))
    page_ids = found["page_id"].to_pylist()
    assert list(ranked) == [f"q{number:05d}" for number in range(20)]
    assert list(ranked.values()) == [page_ids[12 * n : 12 * n + 10] for n in range(20)]


def test_a_block_that_fails_leaves_the_file_before(tmp_path):
    """Half of the results under the name of all."""
    path = tmp_path / "results.parquet"
    path.write_bytes(b"before")

    def write_half() -> None:
        with writing_results(str(path)) as write:
            write(_results(1, 3))
            raise ValueError("lost")

    with pytest.raises(ValueError, match="lost"):
        write_half()
    assert [file.name for file in tmp_path.iterdir()] == ["results.parquet"]
    assert path.read_bytes() == b"before"
