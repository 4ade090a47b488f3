"""Exact search over embeddings that come part by part."""

import pytest
import torch
from torch import Tensor

from colintern.scoring.packed import PackedPages, score_pages
from colintern.scoring.queries import EmbeddedQueries
from colintern.scoring.vectors import score_vectors
from colintern.search import order
from colintern.search.flat import best_by_tokens, best_by_vectors

NUM_PAGES, NUM_QUERIES, DIM = 70, 150, 12  # more queries than one block of them


def _vectors(number: int, seed: int) -> Tensor:
    made = torch.randn(number, DIM, generator=torch.Generator().manual_seed(seed))
    made[::7] = made[:1].clone()  # ties
    return torch.nn.functional.normalize(made, dim=1)


def _ordinals(sizes: list[int]) -> list[Tensor]:
    """Those of the pages of each part."""
    return list(torch.arange(sum(sizes)).split(sizes))


@pytest.mark.parametrize("num_pages", [1, 2_048, 2_049])
def test_a_vector_scores_as_a_page_of_one_token(num_pages):
    """Single vectors that rank otherwise than the same embeddings do in late interaction."""
    page_DE, query_BE = _vectors(num_pages, 1), _vectors(NUM_QUERIES, 2)
    packed = PackedPages.pack(page_DE, [1] * num_pages)
    wanted = score_pages(EmbeddedQueries(query_BE, (1,) * NUM_QUERIES), packed)
    assert torch.equal(score_vectors(query_BE, page_DE), wanted)


@pytest.mark.parametrize("sizes", [[70], [1, 68, 1], [30, 40]])
def test_parts_of_vectors_are_searched_as_one(sizes):
    """Ids, scores or order that depend on how a corpus is cut; ties not by ordinal."""
    page_DE, query_BE = _vectors(NUM_PAGES, 1), _vectors(NUM_QUERIES, 2)
    scores = score_vectors(query_BE, page_DE)
    wanted = order.best(order.to_keys(scores, torch.arange(NUM_PAGES)), 20)
    parts = zip(_ordinals(sizes), page_DE.split(sizes), strict=True)
    blocks = list(best_by_vectors(reversed(list(parts)), query_BE, 20))
    assert len(blocks) == 2
    assert torch.equal(torch.cat(blocks), wanted)


@pytest.mark.parametrize("sizes", [[70], [1, 68, 1]])
def test_parts_of_token_embeddings_are_searched_as_one(sizes):
    """The same of pages of many tokens, whose lengths differ."""
    lengths = [1 + number % 40 for number in range(NUM_PAGES)]
    tokens = _vectors(sum(lengths), 1).split(lengths)
    queries = EmbeddedQueries(_vectors(3 * NUM_QUERIES, 2), (3,) * NUM_QUERIES)
    scores = score_pages(queries, PackedPages.pack(torch.cat(tokens), lengths))
    wanted = order.best(order.to_keys(scores, torch.arange(NUM_PAGES)), 20)
    parts = (
        (own, PackedPages.pack(torch.cat([tokens[n] for n in own]), [lengths[n] for n in own]))
        for own in reversed(_ordinals(sizes))
    )
    assert torch.equal(torch.cat(list(best_by_tokens(parts, queries, 20))), wanted)


def test_more_pages_are_wanted_than_there_are():
    """A row that is shorter than the others, or pages that are not there."""
    corpus = [(torch.tensor([8, 0, 4]), _vectors(3, 1))]
    (found,) = best_by_vectors(corpus, _vectors(2, 2), 5)
    assert order.to_ordinals(found).sort().values.tolist() == [[-1, -1, 0, 4, 8]] * 2
    assert not list(best_by_vectors(corpus, torch.empty(0, DIM), 5))
