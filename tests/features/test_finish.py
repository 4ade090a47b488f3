"""What a store has no features of is listed with its reason, and left out of everything."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from colintern import records
from colintern.config.schema import HeadsConfig
from colintern.data.canonical import CanonicalDataset
from colintern.data.views import whole_view
from colintern.errors import TooManyBadPagesError
from colintern.features.catalog import Catalog
from colintern.features.encoding import encode_shard
from colintern.features.finish import check_bad_fraction, finish_store, finished_record
from colintern.features.shard_file import ShardFile, write_shard
from colintern.features.store import FeatureStore
from colintern.model.heads import init_heads
from colintern.search.embedding import embed_queries
from colintern.search.shard import CorpusShard
from colintern.search.shards import LocalShards
from tests.features.helpers import config_of, encoded, planned
from tests.helpers import make_corpus, measured, pairs_of, stored


def test_queries_that_cannot_be_asked_are_listed_and_left_out(tmp_path, backbone):
    """A blank question trained on, dropped without a word, or missing where it counts 0."""
    make_corpus(tmp_path / "set", num_pages=8, num_queries=8)
    path = tmp_path / "set" / "queries" / "part-00000.parquet"
    texts = [None, " ", "long " * 20_000, "<img> <IMG_CONTEXT>", *"abcd"]
    table = pa.table({"query-id": [f"q{number:03d}" for number in range(8)], "query": texts})
    pq.write_table(table, path)
    encoded(tmp_path, backbone)
    store = FeatureStore(str(next((tmp_path / "runs" / "features").iterdir())))
    lines = (Path(store.path) / "bad_queries.jsonl").read_text().splitlines()
    assert {line["query_id"]: line["reason"] for line in map(json.loads, lines)} == {
        "q000": "empty query",
        "q001": "empty query",
        "q002": "query of 100,000 characters; the limit is 8,192",
    }
    kept = [f"q{number:03d}" for number in range(3, 8)]
    assert store.queries.ids.to_pylist() == kept
    data = config_of(tmp_path).data.model_copy(update={"dev_fraction": 0.4})
    catalog = Catalog(data, 0, {data.train.name: store.path})
    (train, _), (dev, _) = catalog.train(), catalog.evaluated("dev")
    asked = [*train.query_ids.to_pylist(), *dev.query_ids.to_pylist()]
    assert sorted(asked) == kept
    assert {query_id for query_id, _ in [*pairs_of(train), *pairs_of(dev)]} == set(kept)
    assert pairs_of(train)
    width = store.queries.read([0])[0].values_TK.shape[1]
    heads = init_heads(HeadsConfig(), width, seed=0)
    view = whole_view("test", CanonicalDataset(data.train.path), store.pages, store.queries)
    shards = LocalShards([CorpusShard(store.pages, heads, view.pages)])
    results, document = measured(view, shards, embed_queries(heads, store.queries, view.queries))
    assert document["num_queries"] == 8
    assert set(results["query_id"].to_pylist()) == set(kept)


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("pages", "p000: blurred; p001: blurred; p002: blurred"),
        ("queries", "q000: blurred; q001: blurred; q002: blurred"),
    ],
)
def test_too_many_are_named_with_their_reasons(tmp_path, kind, named):
    """An error that points at a log and a list which are written only when all went well."""
    make_corpus(tmp_path / "set", num_pages=8, num_queries=8)
    plan, identity = planned(tmp_path)
    for work in plan.missing():
        if work.folder.endswith(kind):
            write_shard(work.path, {}, dict.fromkeys(work.shard.items, "blurred"), "float32")
        else:
            features = {sha256: torch.ones(2, 4).half() for sha256 in work.shard.items}
            write_shard(work.path, stored(features), {}, "float32")
    with pytest.raises(TooManyBadPagesError) as caught:
        finish_store(plan, identity, 0.5, records.now())
    assert str(caught.value) == (
        f"dataset set: 8 of 8 {kind} are bad, more than data.max_bad_fraction=0.5 allows; "
        f"the first: {named}"
    )


def test_what_encoders_return_is_what_their_shards_hold(tmp_path, backbone, monkeypatch):
    """A store that differs by whether its driver was killed; shards opened although known."""
    path = tmp_path / "set"
    make_corpus(path, num_pages=20, num_queries=9)
    plan, identity = planned(tmp_path)
    missing = plan.missing()
    written = {
        work.path: encode_shard(work, backbone, plan.target.codec, 2_000) for work in missing
    }
    folder = Path(plan.target.path)
    found = []
    for known in ({}, written):
        finish_store(plan, identity, 0.0, "now", known)
        found.append({file: file.read_bytes() for file in folder.glob("*/*") if file.is_file()})
        monkeypatch.setattr("colintern.features.contents.ShardFile", None)
    assert found[0] == found[1]
    assert not written  # let go as it was taken in
    pages = FeatureStore(plan.target.path).pages
    assert len(pages) == 20
    assert len(set(pages.pictures.tolist())) == 19


def test_as_many_as_the_limit_says_may_be_bad():
    """The limit itself refused, or one more allowed."""
    reasons = {f"p{number}": "blurred" for number in range(3)}
    check_bad_fraction("set", reasons, 6, 0.5)
    with pytest.raises(TooManyBadPagesError, match=r"3 of 5 pages .*the first: p0: blurred; p1"):
        check_bad_fraction("set", reasons, 5, 0.5)


@pytest.mark.parametrize("kind", ["pages", "queries"])
def test_a_finished_store_is_held_against_the_limit_too(tmp_path, backbone, kind):
    """A run with max_bad_fraction=0 that records a store which has 10 of 20 pages."""
    make_corpus(tmp_path / "set", num_pages=21, num_queries=20)  # two pages are one image
    path = tmp_path / "set" / "queries" / "part-00000.parquet"
    table = pq.read_table(path)
    texts = ["", *table["query"].to_pylist()[1:]]  # cannot be asked, and does not count
    pq.write_table(table.set_column(1, "query", pa.array(texts)), path)
    plan, identity = planned(tmp_path)
    for work in plan.missing():
        encode_shard(work, backbone, plan.target.codec, 2_000)
    works = [work for work in plan.work if work.folder.endswith(kind)]
    bad = [item for work in works for item in work.shard.items][:10]
    for work in works:
        kept = [item for item in work.shard.items if item not in bad]
        features = dict(zip(kept, ShardFile(work.path).read(kept), strict=True))
        reasons = {item: "blurred" for item in work.shard.items if item in bad}
        write_shard(work.path, features, reasons, "float32")
    finish_store(plan, identity, 0.6, records.now())
    target = planned(tmp_path)[0].target
    share = (11 / 21) if kind == "pages" else (10 / 19)
    assert finished_record(target, share) == target.record()
    for limit in (0.0, 0.5):
        with pytest.raises(TooManyBadPagesError, match=rf"dataset set: 1\d of \d+ {kind} are bad"):
            finished_record(target, limit)
