"""One pooled vector for each page."""

import numpy as np
import pytest
import torch

from colintern.evaluation.results import read_results
from colintern.retrieval.baselines.frame import measured_run
from colintern.retrieval.baselines.pooled import measure_pooled, nearest
from colintern.runs.local import open_corpus
from colintern.search import order
from tests.helpers import view_of


def test_it_is_the_order_of_mean_vectors(run):
    """Vectors of other heads or pages, or candidates only of the corpus."""
    with measured_run(run) as measured:
        documents = measure_pooled(measured)
        view, store = measured.view("test")
        heads = measured.run.heads
        tokens, lengths = store.pages.read(view.pages)
        page_DE = _means(heads.exact_pages(tokens.decoded()), lengths)
        tokens, lengths = store.queries.read(view.queries)
        query_BE = _means(heads.exact_queries(tokens.decoded()), lengths)
        number = measured.run.round_number
    assert [document["dataset"] for document in documents] == ["dev", "test"]
    assert documents[0]["baseline"] == {"name": "pooled", "kind": "pooled", "round": number}
    scores = query_BE @ page_DE.T
    rows = read_results(measured.run.folder.baseline_results("pooled", "test")).to_pylist()
    found = np.array([row["score"] for row in rows]).reshape(scores.shape)
    assert found == pytest.approx(scores.sort(dim=1, descending=True).values.numpy(), abs=1e-6)
    ids = view.page_ids().to_pylist()
    assert len(rows) == 8 * 6
    for row in rows:
        own = float(scores[int(row["query_id"][1:]), ids.index(row["page_id"])])
        assert row["score"] == pytest.approx(own, abs=1e-6)


def test_it_finds_what_the_first_stage_of_a_search_finds(run):
    """A baseline that says nothing of the candidates of `pooled_rerank`."""
    with measured_run(run) as measured:
        view, store = measured.view("dev")
        heads, folder = measured.run.heads, measured.run.folder
        shards, queries = open_corpus(view, store, folder.heads(measured.run.round_number))
        first = order.merge(shards.pooled_best(queries, 10)(), 10)
        found = torch.cat(list(nearest(view, store, heads, 10)))
    same = order.to_ordinals(found) == order.to_ordinals(first)
    assert same.double().mean() > 0.95  # all but ties by rounding


def test_a_set_without_queries_finds_nothing(run):
    """A traceback where no query of a test set could be encoded."""
    with measured_run(run) as measured:
        _, store = measured.view("test")
        view = view_of(store.pages.ids.to_pylist(), [], {"blank": {"p000": 1}}, encoded=[])
        assert not list(nearest(view, store, measured.run.heads, 3))


def _means(token_TE, lengths):
    means = torch.stack([part.mean(dim=0) for part in token_TE.split(list(lengths))])
    return torch.nn.functional.normalize(means, dim=1)
