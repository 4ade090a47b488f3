"""What training may see: never a page that answers dev, whatever folder it stands in."""

import pickle
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from colintern.config.schema import datasets
from colintern.data.canonical import CanonicalDataset
from colintern.data.entities import Judgement, Page, Query
from colintern.data.writing import write_dataset
from colintern.errors import DatasetError
from colintern.evaluation.metrics import per_query_metrics
from colintern.features.catalog import Snapshot
from colintern.features.store import FeatureStore
from tests.helpers import CorpusFolder, add_queries, make_corpus, make_store, pairs_of, png


@pytest.fixture
def shared(tmp_path, corpus):
    """A training set of which dev has the pictures of the pages p036 to p039."""
    dev = make_corpus(tmp_path / "other", num_pages=6, num_queries=6, first_picture=35)
    return replace(corpus, dev=make_store(dev, tmp_path / "other-store"))


def test_pages_of_dev_are_neither_trained_on_nor_mined(shared, corpus):
    """A page that is learned in training and then asked for in dev: the stop rule is flattered."""
    assert corpus.catalog.pages_held_out() == []
    held_out = shared.catalog.pages_held_out()
    assert held_out == ["p036", "p037", "p038", "p039"]
    before, _ = corpus.catalog.train()
    view, _ = shared.catalog.train()
    kept = [page for page in before.page_ids().to_pylist() if page not in held_out]
    assert view.page_ids().to_pylist() == kept
    assert pairs_of(view) == [pair for pair in pairs_of(before) if pair[1] not in held_out]
    assert len(pairs_of(before)) - len(pairs_of(view)) == 4
    assert all(view.judgements[query_id] for query_id in view.query_ids.to_pylist())
    dev, store = shared.catalog.evaluated("dev")
    assert dev.page_ids() == store.pages.ids  # dev is searched whole


def test_a_page_that_dev_only_searches_through_may_be_trained_on(tmp_path, corpus):
    """A corpus that train and dev share, refused although their questions differ."""
    dev = make_corpus(tmp_path / "other", num_pages=6, num_queries=4, first_picture=35)
    shared = replace(corpus, dev=make_store(dev, tmp_path / "other-store"))
    assert shared.catalog.pages_held_out() == ["p036", "p037", "p038"]


def test_a_bad_page_that_answers_dev_costs_only_itself(shared):
    """A KeyError after a night of encoding: a judged page of dev that has no features."""
    manifest = Path(shared.catalog.stores["dev"]) / "pages" / "manifest.parquet"
    table = pq.read_table(manifest)
    pq.write_table(table.filter(pa.compute.field("id") != "p005"), manifest)
    assert shared.catalog.pages_held_out() == ["p036", "p037", "p038", "p039"]


def test_judged_queries_that_cannot_be_asked_count_and_are_named(corpus, tmp_path):
    """A test set that gets easier by a blank question, and whose means are over fewer queries.

    What is held back from training stays as it was: a blank text asks for no page.
    """
    judged = add_queries(Path(corpus.dev.path), {"blank": "", "long": "word " * 2_000})
    manifest = Path(corpus.dev.store) / "queries" / "manifest.parquet"
    pq.write_table(pq.read_table(manifest).slice(1), manifest)
    catalog = corpus.catalog
    view, _ = catalog.evaluated("dev")
    assert view.judgements.keys() == judged == {"q000", "q001", "q002", "q003", "blank", "long"}
    assert view.query_ids.to_pylist() == ["q001", "q002", "q003"]
    reasons = catalog.not_asked("dev")
    assert {query: why.split()[0] for query, why in reasons.items()} == {
        "blank": "empty",
        "long": "query",
        "q000": "no",
    }
    measured = per_query_metrics({"q001": ["p001"]}, view.judgements)
    assert measured.values["ndcg_at_5"].tolist() == [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    assert catalog.pages_held_out() == []
    assert catalog.not_asked("test") == {}


def test_a_blank_query_of_train_counts_in_the_dev_set_taken_from_it(corpus):
    """Dev's part of train without its blank questions, of which a dev folder would have kept 0."""
    add_queries(Path(corpus.path), {f"blank {n}": "" for n in range(40)})
    alone = replace(corpus, dev=None).catalog
    (train, _), (dev, _) = alone.train(), alone.evaluated("dev")
    blank = [query_id for query_id in dev.judgements if query_id.startswith("blank")]
    answers = {page for query_id in dev.query_ids.to_pylist() for page in dev.judgements[query_id]}
    assert len(blank) == len(answers) > 2
    assert {page for query_id in blank for page in dev.judgements[query_id]} == answers
    assert alone.not_asked("dev") == {query_id: "empty query" for query_id in blank}
    assert not [pair for pair in pairs_of(train) if pair[0].startswith("blank")]


def test_pages_of_a_test_set_that_are_trained_on_are_named(shared):
    """A test set that looks easy because it was seen; a page of dev counted among those."""
    seen = shared.catalog.pages_seen_in_training("test")
    assert seen == [f"p{number:03d}" for number in range(36)]
    assert shared.catalog.pages_seen_in_training("dev") == []


def test_a_dev_set_with_all_training_pages_is_refused(corpus):
    """Training on nothing."""
    same = replace(corpus, dev=replace(corpus, dev=None))
    with pytest.raises(DatasetError, match=r"also answers a dev query.*data\.dev=null"):
        same.catalog.train()


@pytest.mark.parametrize("has_dev", [False, True])
def test_training_pages_that_are_one_image_are_refused(tmp_path, has_dev):
    """A round over pages that nothing tells apart, which learns nothing and says so nowhere."""
    pages = [Page(f"p{number:03d}", png(1), doc_id=f"d{number}") for number in range(4)]
    queries = [Query(f"q{number}", f"question {number}") for number in range(4)]
    judgements = [Judgement(f"q{number}", f"p{number:03d}", 1) for number in range(4)]
    write_dataset(str(tmp_path / "same"), pages, queries, judgements)
    corpus = make_store(CorpusFolder(str(tmp_path / "same")), tmp_path / "same-store")
    if has_dev:
        dev = make_corpus(tmp_path / "dev", num_pages=4, num_queries=4, first_picture=50)
        corpus = replace(corpus, dev=make_store(dev, tmp_path / "dev-store"))
    with pytest.raises(DatasetError, match=r"same: all pages to train on \(4\) are one image"):
        corpus.catalog.check_pages_differ()


def test_one_image_that_dev_leaves_to_train_on_is_refused(tmp_path):
    """The same where the other pages answer dev, and are held out."""
    train = make_corpus(tmp_path / "train", num_pages=5, num_queries=5)
    train = make_store(train, tmp_path / "train-store")
    assert train.catalog.check_pages_differ() is None
    dev = make_corpus(tmp_path / "dev", num_pages=4, num_queries=4, first_picture=1)
    shared = replace(train, dev=make_store(dev, tmp_path / "dev-store"))
    assert shared.catalog.train()[0].page_ids().to_pylist() == [
        "p000",
        "p001",
    ]  # one picture under two ids
    with pytest.raises(DatasetError, match=r"\(2\) are one image"):
        shared.catalog.check_pages_differ()


def test_a_catalog_reads_once_what_is_known_by_its_hash(corpus):
    """Manifests read again for every input of every round; a worker sent all of them."""
    plain = corpus.catalog
    assert plain.train()[1] is not plain.train()[1]  # what others may change is read as it is now
    snapshots = {
        name: Snapshot(FeatureStore(path).manifests, {}) for name, path in plain.stores.items()
    }
    pinned = replace(plain, snapshots={name: replace(s) for name, s in snapshots.items()})
    with pytest.raises(DatasetError, match="has changed since this run began"):
        pinned.train()  # no file of queries is known by its hash yet
    questions = {
        dataset.name: CanonicalDataset(dataset.path).questions() for dataset in datasets(plain.data)
    }
    pinned = replace(
        plain, snapshots={n: replace(s, questions=questions[n]) for n, s in snapshots.items()}
    )
    size = len(pickle.dumps(pinned))
    (view, store), again = pinned.train(), pinned.train()
    assert view is again[0]
    assert store is again[1]
    assert pinned.evaluated("test")[0] is pinned.evaluated("test")[0]
    assert len(pickle.dumps(pinned)) == size
    sent = pickle.loads(pickle.dumps(pinned))
    assert sent == pinned
    assert sent.train()[0].page_ids() == view.page_ids()
