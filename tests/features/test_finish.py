"""What a store has no features of is listed with its reason, and left out of everything."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from colintern.config import EvaluationConfig, HeadsConfig
from colintern.data.canonical import CanonicalDataset
from colintern.data.views import whole_view
from colintern.evaluation.evaluate import evaluate
from colintern.features.catalog import Catalog
from colintern.features.store import FeatureStore
from colintern.model.heads import init_heads
from colintern.search.queries import embed_queries
from colintern.search.shard import CorpusShard
from colintern.search.shards import LocalShards
from tests.features.helpers import config_of, encoded
from tests.helpers import make_corpus


def test_queries_that_cannot_be_asked_are_listed_and_left_out(tmp_path, backbone):
    """A blank question trained on, counted in a metric, or dropped without a word."""
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
    assert store.queries.ids == kept
    data = config_of(tmp_path).data.model_copy(update={"dev_fraction": 0.4})
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
