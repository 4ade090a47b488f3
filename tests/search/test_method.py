"""Where `auto` draws the line between an exact and an approximate search."""

import pytest

from colintern.search.method import is_exact_best


def _is_exact(num_pages: int, num_queries: int, candidates: int = 200) -> bool:
    return is_exact_best(
        num_queries=num_queries,
        query_tokens=num_queries * 20,
        num_pages=num_pages,
        page_tokens=num_pages * 256,
        dim=128,
        candidates=candidates,
        certified_queries=200,
    )


@pytest.mark.parametrize(
    ("num_pages", "num_queries", "is_exact"),
    [(500, 2_000, True), (5_000, 20_000, True), (100_000, 20_000, False), (10**6, 20_000, False)],
)
def test_a_large_corpus_is_worth_an_approximate_search(num_pages, num_queries, is_exact):
    """A small corpus searched approximately, or hours of exact search for a large one."""
    assert _is_exact(num_pages, num_queries) == is_exact


def test_few_queries_are_not_worth_their_certificate():
    """200 queries certified by an exact search of all 200."""
    assert _is_exact(100_000_000, 200)


def test_scoring_again_costs_more_than_a_pair_of_an_exact_search():
    """A tenth of the corpus scored again, taken for a tenth of the exact search's time."""
    assert _is_exact(100_000, 20_000, candidates=10_000)
    assert not _is_exact(100_000, 20_000, candidates=1_000)
