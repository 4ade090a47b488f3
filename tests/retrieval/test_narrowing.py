"""Fewer numbers per embedding: axes of the training pages, folded into the heads."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from colintern.config.schema import HeadsConfig
from colintern.errors import UserError
from colintern.model.heads import Heads, init_heads
from colintern.retrieval.finished import open_finished
from colintern.retrieval.narrowing import narrowed, principal_axes
from colintern.runs import loop
from colintern.runs.opened import OpenedRun
from tests.local_run import QuickWorkers, make_config

WIDTH, DIM = 24, 12
KINDS = [("linear", False), ("linear", True), ("mlp", False), ("mlp", True)]


def _heads(kind: str, shared: bool, num_mixed: int = 1) -> Heads:
    config = HeadsConfig(kind=kind, dim=DIM, shared=shared, layer_mix=num_mixed > 1)
    heads = init_heads(config, WIDTH * num_mixed, 5, num_mixed)
    if not shared:  # else queries and pages are projected alike
        with torch.no_grad():
            for parameter in heads.query.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=_draw(9)))
    return heads


def _draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _axes() -> Tensor:
    return torch.linalg.qr(torch.randn(DIM, DIM, generator=_draw(2))).Q


def _tokens(num_mixed: int = 1) -> Tensor:
    return torch.randn(50, WIDTH * num_mixed, generator=_draw(3))


@pytest.mark.parametrize(("kind", "shared"), KINDS)
def test_all_axes_change_no_score(kind, shared):
    """A mean that is taken away, axes that are not orthonormal, a turn of one side only."""
    heads, token_TH = _heads(kind, shared), _tokens()
    turned = narrowed(heads, _axes(), DIM)
    before = heads.exact_queries(token_TH) @ heads.exact_pages(token_TH).T
    after = turned.exact_queries(token_TH) @ turned.exact_pages(token_TH).T
    torch.testing.assert_close(after, before, atol=1e-6, rtol=0)
    assert (turned.exact_pages(token_TH) - heads.exact_pages(token_TH)).abs().max() > 0.1


@pytest.mark.parametrize(("kind", "shared"), KINDS)
def test_fewer_axes_are_turned_cut_and_normalised(kind, shared):
    """The last axes in place of the first; the cut before the turn; no norm; the heads changed."""
    heads, token_TH, axes_EE = _heads(kind, shared), _tokens(), _axes()
    cut = narrowed(heads, axes_EE, 5)
    assert cut.dim == 5
    for embed, narrow in (
        (heads.exact_queries, cut.exact_queries),
        (heads.exact_pages, cut.exact_pages),
    ):
        expected = nn.functional.normalize((embed(token_TH) @ axes_EE.T)[:, :5], dim=1)
        torch.testing.assert_close(narrow(token_TH), expected, atol=1e-6, rtol=0)
    assert heads.exact_pages(token_TH).shape == (50, DIM)


def test_mixed_layers_are_mixed_as_before():
    """A mixture of layers that is turned as if it were a projection."""
    heads, token_TH = _heads("linear", False, num_mixed=3), _tokens(3)
    expected = nn.functional.normalize((heads.exact_pages(token_TH) @ _axes().T)[:, :4], dim=1)
    found = narrowed(heads, _axes(), 4).exact_pages(token_TH)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_a_bias_is_turned_too():
    """Heads with a folded basis, which have one, that lose it."""
    heads, token_TH = _heads("linear", True), _tokens()
    heads.shared.bias = nn.Parameter(torch.randn(DIM, generator=_draw(4)))
    expected = nn.functional.normalize((heads.exact_pages(token_TH) @ _axes().T)[:, :4], dim=1)
    found = narrowed(heads, _axes(), 4).exact_pages(token_TH)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("dim", [0, -1, DIM + 1])
def test_a_width_that_cannot_be_is_refused(dim):
    """Slices that python takes: all but the last, or as many as there are."""
    with pytest.raises(UserError, match=rf"--dim {dim}: must be from 1 to {DIM}"):
        narrowed(_heads("linear", False), _axes(), dim)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A root with datasets and one finished run, `runs/run`."""
    root = tmp_path_factory.mktemp("narrowing")
    loop.run(make_config(root), QuickWorkers())
    return root


def test_the_axes_are_those_of_the_training_pages(root):
    """Axes of all pages, of the test set, of centred embeddings; another order or sign."""
    run = open_finished(str(root / "runs" / "run"))
    axes_EE = principal_axes(run)
    assert axes_EE.dtype == torch.float32
    torch.testing.assert_close(axes_EE @ axes_EE.T, torch.eye(16), atol=1e-6, rtol=0)
    assert torch.equal(principal_axes(open_finished(run.folder.path)), axes_EE)
    view, store = OpenedRun(run.config, run.backbone, run.basis).catalog.train()
    assert 0 < len(view.pages) < len(store.pages)  # the others answer dev
    tokens, _ = store.pages.read(view.pages)
    token_TE = run.heads.exact_pages(tokens.decoded()).double()
    values = torch.linalg.svdvals(token_TE)
    kept = (token_TE @ axes_EE.double().T).square().sum(dim=0)
    torch.testing.assert_close(kept, values.square(), rtol=1e-4, atol=1e-4)
    largest = axes_EE.abs().argmax(dim=1)
    assert (axes_EE[range(16), largest] > 0).all()
