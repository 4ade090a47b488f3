"""Search scores must not depend on anything but the query and the page."""

import numpy as np
import pytest
import torch

from colintern.scoring import packed
from colintern.scoring.packed import (
    PackedPages,
    packed_bytes,
    score_pages,
    score_pairs,
    token_scores,
)
from colintern.scoring.queries import EmbeddedQueries


def _unit(tokens: int, seed: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(tokens, 128, generator=draw), dim=1)


PAGE_LENGTHS = [1, 64, 300, 31, 32, 33, 1, 700, 64, 5, 129, 64, 90]
QUERY_LENGTHS = [1, 20, 13, 7, 200, 31, 1, 18]
PAGES = [_unit(length, seed) for seed, length in enumerate(PAGE_LENGTHS)]
QUERIES = [_unit(length, 100 + seed) for seed, length in enumerate(QUERY_LENGTHS)]


def _pages(indexes: list[int]) -> PackedPages:
    return PackedPages.pack(
        torch.cat([PAGES[index] for index in indexes]), [PAGE_LENGTHS[index] for index in indexes]
    )


def _queries(indexes: list[int]) -> EmbeddedQueries:
    return EmbeddedQueries(
        torch.cat([QUERIES[index] for index in indexes]),
        tuple(QUERY_LENGTHS[index] for index in indexes),
    )


ALL_PAGES, ALL_QUERIES = list(range(len(PAGES))), list(range(len(QUERIES)))


@pytest.fixture(scope="module")
def flat() -> torch.Tensor:
    return score_pages(_queries(ALL_QUERIES), _pages(ALL_PAGES))


def test_scores_are_maxsim(flat):
    """A wrong mask, block or sum: compared with the definition, token by token, in float64."""
    for row, query in enumerate(QUERIES):
        for column, page in enumerate(PAGES):
            best = (query.double() @ page.double().T).amax(dim=1)
            assert flat[row, column].item() == pytest.approx(best.mean().item(), abs=1e-6)


@pytest.mark.parametrize("num_threads", [1, 2])
def test_scores_do_not_depend_on_shards_or_order(flat, num_threads):
    """A score that changes in its last bit with the shard or the order of pages (property 1)."""
    torch.set_num_threads(num_threads)
    try:
        for pages in ([3, 0, 7, 7, 12], [12], [7], list(reversed(ALL_PAGES)), ALL_PAGES[5:]):
            found = score_pages(_queries(ALL_QUERIES), _pages(pages))
            assert torch.equal(found, flat[:, pages])
    finally:
        torch.set_num_threads(1)


def test_scores_do_not_depend_on_other_queries(flat):
    """A score that changes with the queries that share its block."""
    for queries in ([4], [0], [6, 4, 2], list(reversed(ALL_QUERIES))):
        found = score_pages(_queries(queries), _pages(ALL_PAGES))
        assert torch.equal(found, flat[queries])


def test_pairs_equal_the_full_search(flat):
    """Rescoring that disagrees with exact search, so that a merge changes the order."""
    query, page = torch.tensor([0, 0, 2, 4, 4, 4, 7]), torch.tensor([12, 0, 7, 3, 7, 7, 1])
    found = score_pairs(_queries(ALL_QUERIES), _pages(ALL_PAGES), query, page)
    assert torch.equal(found, flat[query, page])
    nothing = torch.empty(0, dtype=torch.int64)
    assert score_pairs(_queries([0]), _pages([0]), nothing, nothing).shape == (0,)


@pytest.mark.parametrize("max_bytes", [1, 5 * 32 * 128 * 4])
def test_pairs_do_not_depend_on_the_budget(flat, monkeypatch, max_bytes):
    """All pages of a query copied out at one time, or one lost where a part of them ends."""
    pages = _pages(ALL_PAGES)
    parts = [part.tolist() for part in pages.parts(torch.tensor(ALL_PAGES), max_bytes)]
    assert [page for part in parts for page in part] == ALL_PAGES
    for part in parts:  # within the budget but for the last page
        others = sum(-(-PAGE_LENGTHS[page] // 32) for page in part[:-1])
        assert others * 32 * 128 * 4 < max_bytes
    query, page = torch.cartesian_prod(torch.tensor(ALL_QUERIES), torch.tensor(ALL_PAGES)).T
    monkeypatch.setitem(packed._COPIED_BYTES, "cpu", max_bytes)
    found = score_pairs(_queries(ALL_QUERIES), pages, query, page)
    assert torch.equal(found, flat.flatten())


@pytest.mark.parametrize("num_threads", [1, 3])
def test_many_pages_cross_blocks_and_chunks(num_threads):
    """A page at the border of a block, chunk or thread that loses tokens: its own copy wins."""
    lengths = [40] * 9_000
    token_TE = torch.nn.functional.normalize(
        torch.randn(sum(lengths), 128, generator=torch.Generator().manual_seed(1)), dim=1
    )
    pages = PackedPages.pack(token_TE, lengths)
    asked = [0, 255, 256, 4_095, 4_096, 8_191, 8_192, 8_999]
    own = torch.cat([token_TE[page * 40 : page * 40 + 40] for page in asked])
    torch.set_num_threads(num_threads)
    try:
        score = score_pages(EmbeddedQueries(own, (40,) * len(asked)), pages)
    finally:
        torch.set_num_threads(1)
    assert score.argmax(dim=1).tolist() == asked
    assert torch.allclose(score.amax(dim=1), torch.ones(len(asked)), atol=1e-5)


@pytest.mark.parametrize("page_block", [32, 2_048])
def test_the_best_products_of_tokens_make_the_score(flat, monkeypatch, page_block):
    """A heat map of other numbers than those that ranked the page, in the last bit."""
    if page_block != packed._PAGE_BLOCK["cpu"]:  # several blocks: products may round otherwise
        monkeypatch.setitem(packed._PAGE_BLOCK, "cpu", page_block)
        flat = score_pages(_queries(ALL_QUERIES), _pages(ALL_PAGES))
    for row, query in enumerate(QUERIES):
        for column, page in enumerate(PAGES):
            score_QP = token_scores(query, page)
            assert score_QP.shape == (len(query), len(page))
            assert torch.allclose(score_QP, query @ page.T, atol=1e-6)
            total = score_QP.amax(dim=1).double().cumsum(0)[-1]
            assert (total / len(query)).float() == flat[row, column]


def test_the_size_of_pages_is_known_before_they_are_packed():
    """A bound on memory that is compared with something else than what is taken."""
    assert packed_bytes(np.array(PAGE_LENGTHS, np.int32), 128) == _pages(ALL_PAGES).token_SLE.nbytes
