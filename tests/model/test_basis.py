"""Principal components: fewer numbers per token, and heads that need no basis any more."""

import pickle
from itertools import product

import pytest
import torch

from colintern.config.schema import HeadsConfig
from colintern.errors import StorageError
from colintern.model.basis import BasisFile, fit_basis, write_basis
from colintern.model.folding import folded
from colintern.model.heads import init_heads
from colintern.storage import sha256_of_bytes

WIDTH = 24


def _tokens(number: int = 400) -> torch.Tensor:
    draw = torch.Generator().manual_seed(1)
    spread = torch.randn(WIDTH, WIDTH, generator=draw) / WIDTH**0.5
    return torch.randn(number, WIDTH, generator=draw) @ spread + 0.5


def test_all_components_keep_every_product():
    """A basis that is not orthonormal, or a mean that is not taken away: scores that differ."""
    token_TH = _tokens()
    basis = fit_basis([token_TH], WIDTH)
    found = basis.project(token_TH).double()
    centred = token_TH.double() - token_TH.double().mean(dim=0)
    torch.testing.assert_close(found @ found.T, centred @ centred.T, atol=1e-3, rtol=1e-4)


def test_the_first_components_hold_the_most():
    """Those of the smallest variance; a covariance of tokens that are not centred."""
    token_TH = _tokens()
    values = torch.linalg.svdvals(token_TH.double() - token_TH.double().mean(dim=0))
    for dim in (1, 5):
        kept = fit_basis([token_TH], dim).project(token_TH).double().square().sum()
        assert kept == pytest.approx(float(values[:dim].square().sum()), rel=1e-5)


def test_parts_and_signs_change_nothing():
    """A basis that is another one with every LAPACK, or by the order of memory."""
    token_TH = _tokens()
    basis = fit_basis(token_TH.split(37), 4)
    torch.testing.assert_close(
        basis.components_KH, fit_basis([token_TH], 4).components_KH, atol=1e-6, rtol=0
    )
    largest = basis.components_KH.abs().argmax(dim=1)
    assert (basis.components_KH[range(4), largest] > 0).all()


@pytest.mark.parametrize(
    ("kind", "shared", "dim"), list(product(["linear", "mlp"], [False, True], [8, WIDTH]))
)
def test_folded_heads_give_the_same_embeddings(kind, shared, dim):
    """A mean that is forgotten, or a bias where embeddings are normalised already."""
    token_TH = _tokens(60)
    basis = fit_basis([token_TH], dim)
    heads = init_heads(HeadsConfig(kind=kind, dim=16, shared=shared), dim, seed=3)
    raw = folded(heads, basis)
    for embed in ("embed_queries", "embed_pages"):
        expected = getattr(heads, embed)(basis.project(token_TH))
        torch.testing.assert_close(getattr(raw, embed)(token_TH), expected, atol=1e-6, rtol=0)
    if kind == "linear":
        names = {"shared"} if shared else {"query", "page"}
        assert {*raw.state_dict()} == {f"{n}.{part}" for n in names for part in ("weight", "bias")}


def test_a_damaged_basis_is_told(tmp_path):
    """Features of a whole store in a basis of which a bit has flipped."""
    path = tmp_path / "basis.safetensors"
    write_basis(str(path), fit_basis([_tokens()], 3))
    file = BasisFile(str(path), sha256_of_bytes(path.read_bytes()))
    assert file.basis.components_KH.shape == (3, WIDTH)
    assert len(pickle.dumps(file)) < 1_000
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    fresh = pickle.loads(pickle.dumps(file))
    with pytest.raises(StorageError, match=r"basis\.safetensors: is damaged"):
        _ = fresh.basis
    with pytest.raises(StorageError, match=r"basis\.safetensors: is damaged"):
        fresh.copy_to(str(tmp_path / "store"))
