"""Training scores and their gradients against the plain formula."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from colintern.scoring import fused
from colintern.scoring.fused import kernel_on
from colintern.scoring.maxsim import maxsim_candidates, maxsim_in_batch


def _padded(draw: torch.Generator, shape: tuple[int, ...], least: int, width: int = 8):
    """Random embeddings and a mask with at least `least` tokens in every item."""
    *items, tokens = shape
    lengths = torch.randint(least, tokens + 1, items, generator=draw)
    mask = torch.arange(tokens) < lengths[..., None]
    return torch.randn(*shape, width, generator=draw), mask


def _plain(similarity: torch.Tensor, page_mask: torch.Tensor, query_mask: torch.Tensor):
    best = similarity.masked_fill(~page_mask, float("-inf")).amax(dim=-1)
    best = best.masked_fill(~query_mask, 0.0)
    return best.sum(dim=-1) / query_mask.sum(dim=-1)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(1, 6),
    st.integers(1, 7),
    st.integers(0, 99),
    st.sampled_from([1, 600, 10**6]),
)
def test_in_batch_equals_the_formula(queries, pages, query_tokens, page_tokens, seed, budget):
    """Value or gradient that depends on padding or on the memory budget; padding scored as 0."""
    draw = torch.Generator().manual_seed(seed)
    query, query_mask = _padded(draw, (queries, query_tokens), 1)
    page, page_mask = _padded(draw, (pages, page_tokens), 1)
    weight = torch.randn(queries, pages, generator=draw)
    found = _value_and_gradients(
        lambda q, p: maxsim_in_batch(q, query_mask, p, page_mask, budget_bytes=budget),
        query,
        page,
        weight,
    )
    expected = _value_and_gradients(
        lambda q, p: _plain(
            torch.einsum("bqe,dpe->bdqp", q, p), page_mask[None, :, None], query_mask[:, None]
        ),
        query,
        page,
        weight,
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 6),
    st.integers(1, 7),
    st.integers(0, 99),
    st.sampled_from([1, 10**6]),
)
def test_candidates_equal_the_formula(queries, pages, query_tokens, page_tokens, seed, budget):
    """As above for a query's own candidates."""
    draw = torch.Generator().manual_seed(seed)
    query, query_mask = _padded(draw, (queries, query_tokens), 1)
    page, page_mask = _padded(draw, (queries, pages, page_tokens), 1)
    weight = torch.randn(queries, pages, generator=draw)
    found = _value_and_gradients(
        lambda q, p: maxsim_candidates(q, query_mask, p, page_mask, budget_bytes=budget),
        query,
        page,
        weight,
    )
    expected = _value_and_gradients(
        lambda q, p: _plain(
            torch.einsum("bqe,bnpe->bnqp", q, p), page_mask[:, :, None], query_mask[:, None]
        ),
        query,
        page,
        weight,
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_a_page_without_tokens_scores_minus_infinity_and_learns_nothing():
    """A NaN gradient, or a score of 0 that beats real pages with negative scores."""
    query = torch.randn(2, 3, 8, requires_grad=True)
    page = torch.randn(2, 4, 8, requires_grad=True)
    page_mask = torch.tensor([[True] * 4, [False] * 4])
    score = maxsim_in_batch(query, torch.ones(2, 3, dtype=torch.bool), page, page_mask)
    assert score[:, 1].tolist() == [float("-inf")] * 2
    torch.softmax(score, dim=1)[:, 0].sum().backward()
    assert query.grad is not None
    assert page.grad is not None
    assert query.grad.isfinite().all()
    assert page.grad[1].abs().max() == 0


@pytest.mark.gpu
@pytest.mark.parametrize("width", [8, 16, 128])  # the kernels take none below 16
def test_fused_kernels_equal_the_plain_path(width):
    """A fused kernel that treats masks or scaling otherwise, beyond its rounding to float16."""
    pytest.importorskip("late_interaction_kernels")
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    draw = torch.Generator().manual_seed(0)
    query, query_mask = _padded(draw, (4, 9), 1, width)
    page, page_mask = _padded(draw, (5, 40), 1, width)
    query, page = functional.normalize(query, dim=-1), functional.normalize(page, dim=-1)
    plain = maxsim_in_batch(query, query_mask, page, page_mask)
    on_gpu = maxsim_in_batch(*(x.cuda() for x in (query, query_mask, page, page_mask)))
    # Both factors are off by up to 2^-11 of themselves; products of unit vectors add up to 1.
    torch.testing.assert_close(on_gpu.cpu(), plain, atol=2**-10, rtol=0)


def test_narrow_embeddings_go_without_the_kernels(monkeypatch):
    """heads.dim=8 on a GPU, which ends in a compiler error of the kernels."""
    monkeypatch.setattr(fused, "kernel_on", lambda _: "fused")
    assert fused.is_usable(torch.zeros(2, 3, 16))
    assert not fused.is_usable(torch.zeros(2, 3, 8))
    assert not fused.is_usable(torch.zeros(0, 3, 16))


def test_the_kernel_is_named_by_device_and_package(monkeypatch):
    """A log that says plain while another kernel computed the scores."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    assert (kernel_on("cuda:1"), kernel_on("cpu")) == ("fused", "plain")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert kernel_on("cuda") == "plain"


def _value_and_gradients(score, query, page, weight):
    query, page = query.clone().requires_grad_(), page.clone().requires_grad_()
    value = score(query, page)
    (value * weight).sum().backward()
    return value.detach(), query.grad, page.grad
