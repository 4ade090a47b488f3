"""Fewer vectors of a page, for several limits."""

import numpy as np
import torch
from torch.nn import functional

from colintern.features import reduction
from colintern.features.reduction import clustered
from colintern.retrieval import page_tokens
from colintern.retrieval.page_tokens import PageTokens


def test_any_limit_gives_what_clustering_gives_and_the_tree_is_made_once(monkeypatch):
    """The clusters of another limit; half a second of each A4 page for every limit."""
    made = []

    def counted(token_PN):
        made.append(len(token_PN))
        return reduction.cluster_tree(token_PN)

    monkeypatch.setattr(page_tokens, "cluster_tree", counted)
    draw = torch.Generator().manual_seed(0)
    token_PN = functional.normalize(torch.randn(20, 6, generator=draw), dim=1)
    page = PageTokens(token_PN)
    for limit in (None, 20, 30):
        vector_KN, cluster_P = page.at_most(limit)
        assert torch.equal(vector_KN, token_PN)
        assert np.array_equal(cluster_P, np.arange(20))
    assert not made
    for limit in (10, 5, 1):
        vector_KN, cluster_P = page.at_most(limit)
        expected = functional.normalize(clustered(token_PN, limit), dim=1, eps=1e-12)
        assert torch.equal(vector_KN, expected)
        assert len(np.unique(cluster_P)) == limit
    assert made == [20]
