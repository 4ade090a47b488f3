"""Mining as a whole, over local shards."""

from dataclasses import replace
from typing import Any

import pytest

from colintern.config.schema import MiningConfig
from colintern.data.canonical import CanonicalDataset, iterate_pages
from colintern.data.columns import strings
from colintern.data.entities import Judgement, Query
from colintern.data.views import KnownIds, whole_view
from colintern.data.writing import write_dataset
from colintern.features.store import FeatureStore
from colintern.mining.miner import Corpus, certify
from colintern.scoring.queries import EmbeddedQueries
from colintern.search import searcher
from colintern.search.embedding import embed_queries
from colintern.search.shard import CorpusShard, shard_bounds
from colintern.search.shards import LocalShards
from tests.helpers import knowing_heads, mined


@pytest.fixture
def world(corpus):
    store = FeatureStore(corpus.store)
    heads = knowing_heads(dim=16)
    view = whole_view("train", CanonicalDataset(corpus.path), store.pages, store.queries)
    whole = Corpus.of(view, store.pages)
    queries = embed_queries(heads, store.queries, view.queries)

    def shards(number: int) -> LocalShards:
        bounds = shard_bounds(store.pages.num_tokens, number)
        parts = [(view.pages[start:end], start) for start, end in bounds]
        return LocalShards([CorpusShard(store.pages, heads, *part) for part in parts])

    return whole, shards, queries


def _mine(world, number: int, **settings):
    corpus, shards, queries = world
    rules = MiningConfig(**{"range_max": 6, "num_negatives": 4, **settings})
    return mined(corpus, shards(number), queries, rules)


@pytest.mark.parametrize("search", ["exact", "faiss"])
def test_triples_do_not_depend_on_the_number_of_workers(world, search):
    """Negatives that change with the number of shard actors."""
    triples, summary = _mine(world, 1, search=search, min_recall=0.0, candidates=8)
    assert len(triples) == 60
    assert sum(len(triple.negs) for triple in triples) > 60
    assert summary["search_used"] == search
    for number in (2, 5):
        assert _mine(world, number, search=search, min_recall=0.0, candidates=8) == (
            triples,
            summary,
        )


def test_only_the_block_of_a_query_with_many_copies_is_searched_deeper(world, monkeypatch):
    """One query whose page has thousands of copies, for which every query is searched that deep."""
    found = _mine(world, 2, search="exact")
    depths, exact_best = [], LocalShards.exact_best

    def recorded(shards: LocalShards, queries: EmbeddedQueries, depth: int) -> Any:
        depths.append(depth)
        return exact_best(shards, queries, depth)

    monkeypatch.setattr(searcher, "QUERY_BLOCK", 10)
    monkeypatch.setattr(LocalShards, "exact_best", recorded)
    assert _mine(world, 2, search="exact") == found
    # p000 and p001, which are one image, answer q000, q001, q040 and q041.
    assert depths == [8, 7, 7, 7, 8, 7]


def test_no_positive_and_no_copy_among_the_negatives(world):
    """p000 and p001 are one image; neither may be a negative for a question about the other."""
    triples, summary = _mine(world, 2, search="exact", relative_margin=0.0)
    for triple in triples:
        assert not set(triple.pos) & set(triple.negs)
        if triple.pos == ["p000"]:
            assert "p001" not in triple.negs
    assert summary["dropped"]["same_page"] > 0
    assert summary["underfilled"] + summary["without_negatives"] <= 60


def test_an_uncertain_search_is_widened_to_exact(world):
    """A recall below `min_recall` that is only reported (property 5)."""
    corpus, shards, queries = world
    rules = MiningConfig(search="faiss", range_max=6, candidates=6, min_recall=1.0)
    certificate = certify(corpus, shards(2), queries, rules, 0)
    assert certificate.recall == 1.0
    assert certificate.candidates is None or certificate.candidates > 6
    low = MiningConfig(search="faiss", range_max=6, candidates=6, min_recall=0.0)
    assert certify(corpus, shards(2), queries, low, 0).candidates == 6
    assert 0.0 < certify(corpus, shards(2), queries, low, 0).recall < 1.0


def test_the_page_of_an_equal_question_is_no_negative(world, tmp_path, corpus):
    """The page that answers an equal question, mined as a near miss (property 3)."""
    whole, shards, queries = world
    pages = [page for _, page in iterate_pages(CanonicalDataset(corpus.path).corpus_files[0])]
    # Two questions of the corpus under other texts: each finds what answers the other.
    asked = [Query("q002", "Same Question "), Query("q003", "same question")]
    judged = [Judgement("q002", "p002", 1), Judgement("q003", "p003", 1)]
    negatives = {}
    for name, texts in (("equal", asked), ("different", [asked[0], Query("q003", "another")])):
        folder = str(tmp_path / name)
        write_dataset(folder, pages, texts, judged)
        pages_of = KnownIds(strings([page.page_id for page in pages]))
        triples, _ = mined(
            replace(whole, view=whole_view("train", CanonicalDataset(folder), pages_of)),
            shards(2),
            queries.between(2, 4),
            MiningConfig(search="exact", range_max=40, num_negatives=40, relative_margin=0.0),
        )
        negatives[name] = {triple.query_id: set(triple.negs) for triple in triples}
    assert "p003" in negatives["different"]["q002"]
    assert "p002" in negatives["different"]["q003"]
    assert all(negatives["equal"].values())
    assert not {"p002", "p003"} & set.union(*negatives["equal"].values())
