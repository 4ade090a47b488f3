"""What a retriever keeps in memory, and what it does about a bound."""

import pytest

from colintern.data.canonical import CanonicalDataset
from colintern.errors import UserError
from colintern.features.store import Items
from colintern.retrieval import corpus
from colintern.retrieval.finished import open_finished
from colintern.retrieval.retriever import Retriever
from colintern.search.pooled_index import index_bytes
from colintern.search.shard import shard_bytes
from tests.local_run import NoWorkers

POOLED_BYTES = index_bytes(24, 16)  # of the training pages


def _open(run: str, memory: int) -> Retriever:
    return Retriever.open(run, dataset="train", memory=memory, workers=NoWorkers())


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """Pooled vectors that no other test has made."""
    monkeypatch.setenv("COLINTERN_CACHE", str(tmp_path / "cache"))
    corpus.node_cache.cache_clear()
    yield
    corpus.node_cache.cache_clear()


def test_the_bound_decides_what_is_kept(run):
    """All embeddings in memory that has no room for them, or pooled vectors where all fit."""
    store = open_finished(run).store(open_finished(run).dataset("train"), NoWorkers())
    all_bytes = shard_bytes(store.pages.num_tokens, 16)
    assert all_bytes > POOLED_BYTES
    for memory, method in (
        (all_bytes, "exact"),
        (all_bytes - 1, "pooled_rerank"),
        (POOLED_BYTES, "pooled_rerank"),
    ):
        retriever = _open(run, memory)
        assert retriever.method == method
        assert 0 < retriever.num_bytes <= memory
    with pytest.raises(UserError, match=r"their pooled vectors 3\.\d kB; allow at least"):
        _open(run, POOLED_BYTES - 1)


def test_a_bounded_search_gives_the_same_scores(run, root, monkeypatch):
    """Another order of the candidates than exact search has, in the last bit or by pooling."""
    texts = [query.text for query in CanonicalDataset(str(root / "train")).queries()[:5]]
    exact, bounded = _open(run, 10**9), _open(run, POOLED_BYTES)
    assert bounded.search(texts, 10) == exact.search(texts, 10)
    monkeypatch.setattr(corpus, "RERANKED", 6)
    for hits, others in zip(bounded.search(texts, 4), exact.search(texts, 24), strict=True):
        scores = {hit.page_id: hit.score for hit in others}
        assert [hit.score for hit in hits] == [scores[hit.page_id] for hit in hits]
        assert len(hits) == 4
    assert [len(hits) for hits in bounded.search(texts, 9)] == [9] * 5


def test_a_bounded_retriever_tells_what_it_does(run, caplog):
    """Approximate results that look like exact ones; a pass over terabytes without a word."""
    with caplog.at_level("INFO", "colintern"):
        _open(run, POOLED_BYTES)
    first, opened = [record.message for record in caplog.records]
    assert "of features once, to pool them" in first
    assert "500 candidates a query, read from the store and scored exactly; 3." in opened
    assert "(exact search would take 181.8 kB)" in opened


def test_pooled_vectors_are_made_once(run, tmp_path, monkeypatch):
    """All features read at each opening; vectors of other heads, or damaged ones, that are used."""
    made = []
    original = corpus.pooled_vectors

    def counting(*arguments):
        made.append(1)
        return original(*arguments)

    monkeypatch.setattr(corpus, "pooled_vectors", counting)
    wanted = _open(run, POOLED_BYTES).search(["question"])
    assert _open(run, POOLED_BYTES).search(["question"]) == wanted
    assert len(made) == 1
    Retriever.open(run, 0, "train", memory=POOLED_BYTES, workers=NoWorkers())
    assert len(made) == 2
    for entry in (tmp_path / "cache").glob("features/??/*"):
        entry.write_bytes(entry.read_bytes()[:-1] + b"\xff")
    assert _open(run, POOLED_BYTES).search(["question"]) == wanted
    assert len(made) == 3


def test_a_bounded_search_keeps_no_features(run, monkeypatch):
    """A retriever that grows with every question until the machine has no memory."""
    retriever = _open(run, POOLED_BYTES)
    before = retriever.num_bytes
    read = []
    original = Items.read
    monkeypatch.setattr(Items, "read", lambda *given: read.append(1) or original(*given))
    for _ in range(2):
        retriever.search(["question", "another one"])
        assert read
        read.clear()
    assert retriever.num_bytes == before


def test_without_faiss_only_exact_search_is_offered(run, monkeypatch):
    """A traceback about a module, after all features were read."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert _open(run, 10**9).method == "exact"
    with pytest.raises(UserError, match=r"faiss is needed: pip install 'colintern\[cpu\]'"):
        _open(run, POOLED_BYTES)
