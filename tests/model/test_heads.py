"""Heads: the file format, strict loading, seeded beginnings (property 9)."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from colintern.config.files import parse_config
from colintern.config.schema import HeadsConfig
from colintern.errors import CheckpointError
from colintern.model.heads import (
    BackboneInfo,
    HeadsInfo,
    heads_info,
    init_heads,
    load_heads,
    save_heads,
)

WIDTH, DIM = 12, 8


def _info(**settings) -> HeadsInfo:
    return HeadsInfo(
        **{
            "backbone": BackboneInfo(path="x", revision=None, layer=-1),
            "features_width": WIDTH,
            "dim": DIM,
            "kind": "linear",
            "shared": False,
            "page_prompt": "",
            "query_prefix": "",
            "query_augmentation_tokens": 0,
            "max_tiles": 1,
            "stores": {},
            **settings,
        }
    )


@pytest.mark.parametrize(
    ("kind", "shared", "names"),
    [
        ("linear", False, ["page.weight", "query.weight"]),
        ("linear", True, ["shared.weight"]),
        (
            "mlp",
            False,
            [
                f"{head}.{part}"
                for head in ("page", "query")
                for part in ("0.bias", "0.weight", "2.weight")
            ],
        ),
        ("mlp", True, ["shared.0.bias", "shared.0.weight", "shared.2.weight"]),
    ],
)
def test_the_file_holds_the_documented_tensors(tmp_path, kind, shared, names):
    """A renamed tensor that other people's loaders do not find; a round trip that loses bits."""
    heads = init_heads(HeadsConfig(kind=kind, dim=DIM, shared=shared), WIDTH, seed=0)
    save_heads(heads, str(tmp_path), _info(kind=kind, shared=shared))
    weights = load_file(tmp_path / "heads.safetensors")
    assert sorted(weights) == names
    loaded, info = load_heads(str(tmp_path))
    assert info.kind == kind
    tokens = torch.randn(5, WIDTH)
    assert torch.equal(loaded.embed_pages(tokens), heads.embed_pages(tokens))
    query_TE, page_TE = loaded(tokens, tokens)
    assert query_TE.shape == page_TE.shape == (5, DIM)
    torch.testing.assert_close(query_TE.norm(dim=1), torch.ones(5))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: w.pop("query.weight"), "'query.weight' is missing"),
        (lambda w: w.update({"extra.weight": torch.zeros(1)}), "'extra.weight' is unknown"),
        (
            lambda w: w.update({"query.weight": torch.zeros(DIM, WIDTH + 1)}),
            r"expected .*\[8, 12\]",
        ),
        (lambda w: w.update({"page.weight": torch.zeros(DIM, WIDTH).half()}), "float16"),
        (lambda w: w.update({"page.weight": torch.full((DIM, WIDTH), torch.nan)}), "not finite"),
    ],
)
def test_loading_is_strict(tmp_path, change, words):
    """A projection silently left random at load because a key was renamed."""
    save_heads(init_heads(HeadsConfig(dim=DIM), WIDTH, seed=0), str(tmp_path), _info())
    weights = load_file(tmp_path / "heads.safetensors")
    change(weights)
    save_file(weights, tmp_path / "heads.safetensors")
    with pytest.raises(CheckpointError, match=words):
        load_heads(str(tmp_path))


def test_unknown_information_is_refused(tmp_path):
    """Heads of a later version used as if they were ours."""
    save_heads(init_heads(HeadsConfig(dim=DIM), WIDTH, seed=0), str(tmp_path), _info())
    path = tmp_path / "colintern.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    with pytest.raises(CheckpointError, match="format"):
        load_heads(str(tmp_path))


def test_untrained_heads_depend_on_the_seed_alone():
    """Heads that differ because something else drew random numbers first."""
    torch.manual_seed(1)
    first = init_heads(HeadsConfig(dim=DIM), WIDTH, seed=5)
    torch.manual_seed(2)
    second = init_heads(HeadsConfig(dim=DIM), WIDTH, seed=5)
    assert torch.equal(first.query.weight, second.query.weight)
    other = init_heads(HeadsConfig(dim=DIM), WIDTH, seed=6)
    assert not torch.equal(first.query.weight, other.query.weight)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_a_token_is_embedded_alike_whatever_stands_beside_it(kind):
    """A page's scores that depend on its shard: products of few rows round otherwise."""
    heads = init_heads(HeadsConfig(kind=kind), 160, seed=0)
    token_TH = torch.randn(1_100, 160, generator=torch.Generator().manual_seed(0))
    for embed in (heads.exact_pages, heads.exact_queries):
        whole = embed(token_TH)
        for start, end in ((0, 1), (5, 8), (1_000, 1_100), (1_099, 1_100)):
            assert torch.equal(embed(token_TH[start:end]), whole[start:end])


def test_what_stands_beside_the_heads_is_what_the_run_was_made_with(tmp_path):
    """A search that asks with another prompt than the heads were trained for."""
    config = parse_config(
        {
            "data": {"train": "demo"},
            "backbone": {
                "path": "some/folder",
                "revision": "0" * 40,
                "layer": 1,
                "page_prompt": "Look: ",
                "query_prefix": "Ask: ",
                "query_augmentation_tokens": 3,
                "max_tiles": 5,
            },
            "heads": {"kind": "mlp", "dim": DIM, "shared": True},
        },
        "test",
    )
    info = heads_info(config, WIDTH, {"train": "/store"})
    save_heads(init_heads(config.heads, WIDTH, seed=0), str(tmp_path), info)
    assert json.loads((tmp_path / "colintern.json").read_text()) == {
        "format": 1,
        "backbone": {"path": "some/folder", "revision": "0" * 40, "layer": 1},
        "features_width": WIDTH,
        "dim": DIM,
        "kind": "mlp",
        "shared": True,
        "page_prompt": "Look: ",
        "query_prefix": "Ask: ",
        "query_augmentation_tokens": 3,
        "max_tiles": 5,
        "pca": None,
        "stores": {"train": "/store"},
    }
    assert load_heads(str(tmp_path))[1] == info
