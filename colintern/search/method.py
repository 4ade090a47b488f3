"""Whether a corpus is worth an approximate search: a formula of sizes, never a measured time."""

_WORTH_APPROXIMATING = 2e14  # multiply-adds; about an hour of one CPU core, a minute of a GPU
_WORTH_RATIO = 4  # approximate must be this much cheaper, its certificate included
# A pair that is scored again costs as much as so many of an exact search: one query of some 20
# tokens fills a block for 128, and the page is copied. Measured 7 to 12, with 20 tokens a query and
# 256 or 1,792 a page.
_RESCORED_PAIR = 10


def is_exact_best(
    *,
    num_queries: int,
    query_tokens: int,
    num_pages: int,
    page_tokens: int,
    dim: int,
    candidates: int,
    certified_queries: int,
) -> bool:
    """Whether `auto` means exact.

    Args:
        num_queries: how many queries search.
        query_tokens: tokens of all queries.
        num_pages: pages of the corpus.
        page_tokens: tokens of all pages.
        dim: embedding width.
        candidates: pages that are scored again for each query.
        certified_queries: how many queries are searched exactly to certify the rest.
    """
    exact_cost = query_tokens * page_tokens * dim
    cheap = exact_cost < _WORTH_APPROXIMATING
    return cheap or exact_cost < _WORTH_RATIO * approximate_cost(
        num_queries=num_queries,
        query_tokens=query_tokens,
        num_pages=num_pages,
        page_tokens=page_tokens,
        dim=dim,
        candidates=candidates,
        certified_queries=certified_queries,
    )


def approximate_cost(
    *,
    num_queries: int,
    query_tokens: int,
    num_pages: int,
    page_tokens: int,
    dim: int,
    candidates: int,
    certified_queries: int,
) -> float:
    """Multiply-adds of an exact search that take as long as an approximate one.

    Its certificate counts, and that pairs which are scored again are slow; arguments as of
    `is_exact_best`.
    """
    exact_cost = query_tokens * page_tokens * dim
    pooled_cost = num_queries * num_pages * dim
    rescoring_cost = _RESCORED_PAIR * exact_cost * min(1.0, candidates / num_pages)
    certificate_cost = exact_cost * min(1.0, certified_queries / num_queries)
    return pooled_cost + rescoring_cost + certificate_cost
