"""A finished store, read by position."""

import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from colintern import records
from colintern.data.canonical import read_images
from colintern.errors import DatasetError, MissingStageError
from colintern.features.codec import StoredTokens
from colintern.features.manifest import MANIFEST, QUERY_SCHEMA, open_manifest
from colintern.features.shard_file import ShardFile, write_shard
from colintern.features.store import FeatureStore, Items
from colintern.images.decode import decode
from tests.features.helpers import encoded, planned
from tests.helpers import make_corpus


def test_features_are_those_of_the_page(tmp_path, backbone):
    """Features filed under another page, or one copy for each of two equal images."""
    make_corpus(tmp_path / "set", num_pages=12, num_queries=5)
    encoded(tmp_path, backbone)
    store = FeatureStore(str(next((tmp_path / "runs" / "features").iterdir())))
    plan, _ = planned(tmp_path)
    picture = decode(read_images([plan.pages.location(7)])[0])
    expected = backbone.encode_pages([picture])[0].bfloat16()
    found, lengths = store.pages.read([7])
    assert lengths == [store.pages.num_tokens[7]] == [64]
    torch.testing.assert_close(found.decoded(), expected.float(), atol=0.02, rtol=0.02)
    assert store.pages.row(0).sha256 == store.pages.row(1).sha256
    assert torch.equal(store.pages.read([0])[0].decoded(), store.pages.read([1])[0].decoded())
    num_stored = sum(
        len(ShardFile(str(p)).num_tokens()) for p in Path(store.path).glob("pages/*.s*")
    )
    assert num_stored == 11
    expected = backbone.encode_queries(["question 3 of many"])[0]
    found, _ = store.queries.read([3])
    torch.testing.assert_close(found.decoded(), expected, atol=0.02, rtol=0.02)


def test_an_unfinished_store_is_not_read(tmp_path):
    """Half a corpus searched as if it were all."""
    with pytest.raises(MissingStageError, match="colintern encode"):
        FeatureStore(str(tmp_path))


_READ_ALL = """
import resource, sys
import torch
from colintern.features.store import FeatureStore
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
pages = FeatureStore(sys.argv[1]).pages
found, lengths = pages.read(range(len(pages)))
assert sum(lengths) == len(found) and found.is_finite
print(len(pages))
"""


def test_a_store_of_more_shards_than_files_may_be_open_is_read(tmp_path):
    """A store of 1,018 shards, whose reading ends in "Too many open files"."""
    rows, folder = [], tmp_path / "store" / "pages"
    for number in range(100):
        sha256, file = f"{number:064x}", f"shard-{number:05d}.safetensors"
        write_shard(
            str(folder / file), {sha256: StoredTokens(torch.ones(2, 4).bfloat16())}, {}, "float32"
        )
        rows.append({"id": f"p{number:03d}", "sha256": sha256, "shard": file, "num_tokens": 2})
    table = pa.Table.from_pylist(rows, QUERY_SCHEMA)
    (tmp_path / "store" / "queries").mkdir()
    for part in ("pages", "queries"):
        pq.write_table(
            table.slice(0, 100 if part == "pages" else 0), folder.parent / part / MANIFEST
        )
    records.write_record(
        str(tmp_path / "store" / "record.json"), str(tmp_path / "store"), {}, [], records.now()
    )
    command = [sys.executable, "-c", _READ_ALL, str(tmp_path / "store")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "100\n", done.stderr


def test_what_is_read_does_not_depend_on_how_many_shards_are_open(tmp_path, backbone):
    """Features of one item given for another; an item of a shard that was closed meanwhile."""
    make_corpus(tmp_path / "set", num_pages=20, num_queries=5)
    encoded(tmp_path, backbone)
    path = planned(tmp_path)[0].target.path
    whole = FeatureStore(path)
    files = {Path(file).name: state for file, state in planned(tmp_path)[0].whole.items()}
    assert len({whole.pages.row(at).shard for at in range(20)}) > 2
    few = Items(open_manifest(f"{path}/pages", None), files, most_open=1)
    order = [19, 0, 7, 0, 12, 3, 1]
    (found, lengths), (tokens, same) = few.read(order), whole.pages.read(order)
    expected = tokens.decoded()
    assert lengths == same
    assert torch.equal(found.decoded(), expected)
    copy = pickle.loads(pickle.dumps(few))  # as a worker gets it
    assert torch.equal(copy.read(order)[0].decoded(), expected)
    assert torch.equal(few.read([7])[0].decoded(), expected[sum(same[:2]) : sum(same[:3])])
    rows = np.array([3, 7, 19])
    part = FeatureStore(path, page_rows=rows)
    assert part.pages.ids.to_pylist() == ["p003", "p007", "p019"]
    assert torch.equal(part.pages.read([0, 2])[0].decoded(), whole.pages.read([3, 19])[0].decoded())
    assert part.pages.pictures.tolist() == [0, 1, 2]
    assert [part.pages.row(at) for at in range(3)] == [whole.pages.row(at) for at in rows]


def test_threads_that_share_items_open_a_shard_once(corpus, monkeypatch):
    """A shard that one thread closes while another one looks for the oldest to close."""
    opened, both = [], threading.Barrier(2, timeout=0.5)

    def opening(*arguments) -> ShardFile:
        opened.append(arguments)
        with suppress(threading.BrokenBarrierError):  # nobody else came
            both.wait()
        return ShardFile(*arguments)

    monkeypatch.setattr("colintern.features.store.ShardFile", opening)
    pages = FeatureStore(corpus.store).pages
    with ThreadPoolExecutor(2) as threads:
        (one, _), (other, _) = threads.map(pages.read, [[3], [3]])
    assert torch.equal(one.decoded(), other.decoded())
    assert len(opened) == 1


def test_ids_are_found_by_code_point(corpus):
    """A page that is there and not found; the position of the next one given for an unknown."""
    pages = FeatureStore(corpus.store).pages
    ids = pages.ids.to_pylist()
    asked = [ids[5], "", ids[0], "p0005", "\U0001f600", ids[-1]]
    assert pages.find(asked).tolist() == [5, -1, 0, -1, -1, len(ids) - 1]
    assert pages.find([]).tolist() == []


def test_nothing_is_read_of_a_part_without_items(tmp_path):
    """An index out of range where all queries of a dataset are bad."""
    rows = {name: [] for name in QUERY_SCHEMA.names}
    pq.write_table(pa.table(rows, QUERY_SCHEMA), tmp_path / MANIFEST)
    with pytest.raises(DatasetError, match="nothing in it has features"):
        Items(open_manifest(str(tmp_path), None), {}).read([])


def test_a_manifest_with_an_item_without_a_hash_is_named(tmp_path):
    """An assertion that names the folder only."""
    rows = {"id": ["a", "b"], "sha256": ["ab" * 32, "xy"], "shard": ["s", "s"]}
    pq.write_table(pa.table({**rows, "num_tokens": [1, 1]}, QUERY_SCHEMA), tmp_path / MANIFEST)
    with pytest.raises(MissingStageError, match=r"manifest\.parquet: row 1 has no SHA-256"):
        open_manifest(str(tmp_path), None)
