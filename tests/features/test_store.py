"""The store: planned from the corpus, resumed, grown, read back (property 8)."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from colintern import records
from colintern.config import (
    BackboneConfig,
    Config,
    EvaluationConfig,
    FeaturesConfig,
    HeadsConfig,
    parse_config,
)
from colintern.data.canonical import CanonicalDataset
from colintern.data.inventory import read_entries, row_groups
from colintern.data.views import whole_view
from colintern.errors import ConfigError, MissingStageError, TooManyBadPagesError
from colintern.evaluation.evaluate import evaluate
from colintern.evaluation.metrics import per_query_metrics
from colintern.features.catalog import Catalog
from colintern.features.encoding import (
    ShardWork,
    check_compute_dtype,
    encode_shard,
    finish_store,
    plan_store,
)
from colintern.features.plan import Item, plan_shards
from colintern.features.shard_file import ShardFile, write_shard
from colintern.features.store import FeatureStore
from colintern.model.backbone import FrozenBackbone, compute_dtype, read_identity
from colintern.model.heads import init_heads
from colintern.search.embedding import embed_queries
from colintern.search.shard import CorpusShard
from colintern.search.shards import LocalShards
from colintern.stages import store_target
from tests.helpers import make_corpus

FEATURES = FeaturesConfig(shard_bytes=200_000)


@pytest.fixture(scope="module")
def backbone():
    return FrozenBackbone(BackboneConfig(path="random"))


def _config(root: Path) -> Config:
    return parse_config(
        {"data": {"train": str(root / "set")}, "run": {"root": str(root / "runs")}}, "test"
    )


def _plan(root: Path):
    config = _config(root)
    identity = read_identity(config.backbone)
    target = store_target(config, config.data.train, identity)
    files = CanonicalDataset(target.dataset.path).corpus_files
    entries = [entry for file, group in row_groups(files) for entry in read_entries(file, group)]
    return plan_store(target, entries, identity, FEATURES), identity


def _encode(root: Path, backbone, number: int | None = None) -> list[str]:
    """Encode the missing shards, or some of them; returns what was encoded."""
    plan, identity = _plan(root)
    missing = plan.missing()[:number]
    for work in missing:
        encode_shard(ShardWork.from_json(work.to_json()), backbone, "bfloat16", 2_000)
    if number is None:
        finish_store(plan, identity, 0.0, records.now())
    return [work.shard.file for work in missing]


def test_a_killed_encoding_goes_on_and_ends_with_the_same_bytes(tmp_path, backbone):
    """Shards encoded twice, or planned otherwise because some are there already."""
    for name in ("whole", "killed"):
        make_corpus(tmp_path / name / "set", num_pages=30, num_queries=20)
    everything = _encode(tmp_path / "whole", backbone)
    first = _encode(tmp_path / "killed", backbone, 2)
    rest = _encode(tmp_path / "killed", backbone)
    assert len(everything) > 3
    assert first + rest == everything
    stores = [
        next((tmp_path / name / "runs" / "features").iterdir()) for name in ("whole", "killed")
    ]
    shards = sorted(path.relative_to(stores[0]) for path in stores[0].rglob("*.safetensors"))
    assert len(shards) == len(everything)
    for shard in shards:
        assert (stores[0] / shard).read_bytes() == (stores[1] / shard).read_bytes()


def test_features_are_those_of_the_page(tmp_path, backbone):
    """Features filed under another page, or one copy for each of two equal images."""
    make_corpus(tmp_path / "set", num_pages=12, num_queries=5)
    _encode(tmp_path, backbone)
    store = FeatureStore(str(next((tmp_path / "runs" / "features").iterdir())))
    plan, _ = _plan(tmp_path)
    entry = plan.entries[7]
    from colintern.data.canonical import read_images
    from colintern.data.images import decode

    picture = decode(read_images([entry.location])[0])
    expected = backbone.encode_pages([picture])[0].bfloat16()
    found, lengths = store.pages.read([entry.page_id])
    assert lengths == [store.pages.row(entry.page_id).num_tokens] == [64]
    torch.testing.assert_close(found.float(), expected.float(), atol=0.02, rtol=0.02)
    assert store.pages.row("p000").sha256 == store.pages.row("p001").sha256
    assert torch.equal(store.pages.read(["p000"])[0], store.pages.read(["p001"])[0])
    num_stored = sum(
        len(ShardFile(str(p)).num_tokens()) for p in Path(store.path).glob("pages/*.s*")
    )
    assert num_stored == 11
    expected = backbone.encode_queries(["question 3 of many"])[0]
    found, _ = store.queries.read(["q003"])
    torch.testing.assert_close(found.float(), expected, atol=0.02, rtol=0.02)


def test_queries_that_cannot_be_asked_are_listed_and_left_out(tmp_path, backbone):
    """A blank question trained on, counted in a metric, or dropped without a word."""
    make_corpus(tmp_path / "set", num_pages=8, num_queries=8)
    path = tmp_path / "set" / "queries" / "part-00000.parquet"
    texts = [None, " ", "long " * 20_000, "<img> <IMG_CONTEXT>", *"abcd"]
    table = pa.table({"query-id": [f"q{number:03d}" for number in range(8)], "query": texts})
    pq.write_table(table, path)
    _encode(tmp_path, backbone)
    store = FeatureStore(str(next((tmp_path / "runs" / "features").iterdir())))
    lines = (Path(store.path) / "bad_queries.jsonl").read_text().splitlines()
    assert {line["query_id"]: line["reason"] for line in map(json.loads, lines)} == {
        "q000": "empty query",
        "q001": "empty query",
        "q002": "query of 100,000 characters; the limit is 8,192",
    }
    kept = [f"q{number:03d}" for number in range(3, 8)]
    assert store.queries.ids == kept
    data = _config(tmp_path).data.model_copy(update={"dev_fraction": 0.4})
    catalog = Catalog(data, 0, {data.train.name: store.path})
    (train, _), (dev, _) = catalog.train(), catalog.evaluated("dev")
    asked = [query.query_id for view in (train, dev) for query in view.queries]
    assert sorted(asked) == kept
    assert train.pairs()
    assert {query_id for query_id, _ in [*train.pairs(), *dev.pairs()]} == set(kept)
    heads = init_heads(HeadsConfig(), store.queries.read(kept)[0].shape[1], seed=0)
    view = whole_view("test", CanonicalDataset(data.train.path), store.pages.ids)
    found = evaluate(
        view,
        LocalShards([CorpusShard(store.pages, heads, view.page_ids, 0, len(view.page_ids))]),
        embed_queries(heads, store.queries, [query.query_id for query in view.queries]),
        EvaluationConfig(),
        round_number=0,
        seed=0,
        on_progress=lambda _: None,
    )
    assert found.document["num_queries"] == len(kept)
    assert set(found.results["query_id"].to_pylist()) == set(kept)


class _Overflowing:
    """A backbone whose first page and first query are too large for float16."""

    def __init__(self, backbone):
        self._backbone = backbone
        self.compute_dtype = backbone.compute_dtype
        self._waits = {"encode_pages", "encode_queries"}

    def encode_pages(self, *arguments, **options):
        return self._encode("encode_pages", *arguments, **options)

    def encode_queries(self, *arguments, **options):
        return self._encode("encode_queries", *arguments, **options)

    def _encode(self, name, *arguments, **options):
        found = getattr(self._backbone, name)(*arguments, **options)
        if name in self._waits:
            self._waits.remove(name)
            found[0] = found[0] * 1e9
        return found


def test_features_that_are_not_finite_cost_their_page_or_query_only(tmp_path, backbone):
    """One page that overflows, and every loss after it NaN (property 10)."""
    make_corpus(tmp_path / "set", num_pages=12, num_queries=8)
    plan, identity = _plan(tmp_path)
    overflowing = _Overflowing(backbone)
    for work in plan.missing():
        encode_shard(work, overflowing, "float16", 2_000)
    with pytest.raises(TooManyBadPagesError, match="2 of 12 pages"):
        finish_store(plan, identity, 0.1, records.now())
    left_out = finish_store(plan, identity, 0.2, records.now())
    why = "the backbone's features of it are not finite"
    assert left_out.pages == {"p000": why, "p001": why}  # one image
    assert left_out.queries == {"q000": why}
    store = FeatureStore(plan.target.path)
    for part, kept in (("pages", left_out.pages), ("queries", left_out.queries)):
        items, lines = getattr(store, part), Path(store.path, f"bad_{part}.jsonl")
        assert len(lines.read_text().splitlines()) == len(kept)
        assert not set(kept) & set(items.ids)
        assert items.read(items.ids)[0].isfinite().all()
    data = _config(tmp_path).data
    test = data.train.model_copy(update={"name": "test"})
    data = data.model_copy(update={"eval": (test,)})
    catalog = Catalog(data, 0, {data.train.name: store.path, "test": store.path})
    for view, _ in (catalog.train(), catalog.evaluated("test")):
        assert view.queries
        assert "q000" not in {query.query_id for query in view.queries}
    found_nothing = per_query_metrics({}, catalog.evaluated("test")[0].judgements)
    assert "q000" in found_nothing.query_ids  # it counts, as a query that has found nothing


def test_added_pages_get_new_shards(tmp_path, backbone):
    """A corpus that has grown encoded again from the start."""
    make_corpus(tmp_path / "set", num_pages=20, num_queries=5)
    first = _encode(tmp_path, backbone)
    make_corpus(tmp_path / "set", num_pages=26, num_queries=8)
    second = _encode(tmp_path, backbone)
    assert second
    assert not set(first) & set(second)
    store = FeatureStore(str(next((tmp_path / "runs" / "features").iterdir())))
    assert len(store.pages.ids) == 26
    assert store.pages.row("p010").shard in first
    assert store.pages.row("p025").shard in second
    assert store.pages.read(["p025", "p003"])[1] == [64, 64]


def test_a_store_is_not_finished_in_another_precision(tmp_path, backbone):
    """Pages of a CPU in float32 beside those of a GPU in bfloat16, in one store, unseen."""
    make_corpus(tmp_path / "set", num_pages=20, num_queries=5)
    check_compute_dtype(_plan(tmp_path)[0], "bfloat16")  # nothing is there yet
    _encode(tmp_path, backbone, 1)
    plan, _ = _plan(tmp_path)
    assert compute_dtype(BackboneConfig(path="random"), "cuda") == "bfloat16"
    check_compute_dtype(plan, compute_dtype(BackboneConfig(path="random"), "cpu"))
    with pytest.raises(ConfigError, match=r"begun in float32 .* backbone\.dtype=bfloat16"):
        check_compute_dtype(plan, "bfloat16")
    _encode(tmp_path, backbone)
    check_compute_dtype(_plan(tmp_path)[0], "bfloat16")  # nothing is missing any more


def test_an_unfinished_store_is_not_read(tmp_path):
    """Half a corpus searched as if it were all."""
    with pytest.raises(MissingStageError, match="colintern encode"):
        FeatureStore(str(tmp_path))


def test_shards_hold_every_item_once():
    """An item in two shards or in none; a shard that is far too large; a plan out of order."""
    items = [Item(f"{number:02d}", size) for number, size in enumerate([5, 5, 5, 30, 5, 2, 2, 9])]
    shards = plan_shards([*items, items[0]], 10)
    assert [shard.items for shard in shards] == [
        ("00", "01"),
        ("02",),
        ("03",),
        ("04", "05", "06"),
        ("07",),
    ]
    assert len({shard.file for shard in shards}) == len(shards)
    assert plan_shards([], 10) == []


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_a_shard_is_read_back_exactly(tmp_path, dtype):
    """Bytes of a neighbour; a dtype that numpy does not know; remote reads off by one."""
    draw = np.random.default_rng(0)
    features = {
        f"item{number}": torch.from_numpy(draw.normal(size=(number + 1, 6))).to(dtype)
        for number in range(5)
    }
    for path in (str(tmp_path / "a.safetensors"), "memory://store/a.safetensors"):
        write_shard(path, features, {"broken": "why"}, "float32")
        shard = ShardFile(path)
        assert shard.bad == {"broken": "why"}
        assert shard.num_tokens() == {f"item{number}": number + 1 for number in range(5)}
        for found, tensor in zip(shard.read(list(features)), features.values(), strict=True):
            assert torch.equal(found, tensor)
        twice = shard.read(["item3", "item0", "item3"])
        for found, name in zip(twice, ("item3", "item0", "item3"), strict=True):
            assert torch.equal(found, features[name])
