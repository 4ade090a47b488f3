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
    Heads,
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


def _mixing_heads() -> tuple[Heads, HeadsInfo]:
    """Heads over two layers of half the width each, and what is written beside them."""
    config = HeadsConfig(dim=DIM, layer_mix=True)
    info = _info(
        backbone=BackboneInfo(path="x", revision=None, layer=(-1, 0)), layer_mix=config.layer_mix
    )
    return init_heads(config, WIDTH, seed=0, num_layers=2), info


def test_a_mix_of_layers_begins_as_their_mean_and_learns(tmp_path):
    """Layers that are cut out of a token at the wrong place, or weights that get no gradient."""
    heads, info = _mixing_heads()
    save_heads(heads, str(tmp_path), info)
    weights = load_file(tmp_path / "heads.safetensors")
    shapes = {name: list(weight.shape) for name, weight in weights.items()}
    half = WIDTH // 2
    assert shapes == {
        "layer_mix.weight": [2],
        "page.weight": [DIM, half],
        "query.weight": [DIM, half],
    }
    heads, loaded = load_heads(str(tmp_path))
    assert loaded == info
    tokens = torch.randn(5, WIDTH)
    mean = tokens.view(5, 2, half).mean(dim=1)
    plain = init_heads(HeadsConfig(dim=DIM), half, seed=0)
    torch.testing.assert_close(heads.embed_pages(tokens), plain.embed_pages(mean))
    for number, only in enumerate(([50.0, 0.0], [0.0, 50.0])):
        heads.layer_mix.load_state_dict({"weight": torch.tensor(only)})
        layer = tokens[:, number * half : (number + 1) * half]
        torch.testing.assert_close(heads.embed_queries(tokens), plain.embed_queries(layer))
    heads, _ = _mixing_heads()
    for embed in (heads.embed_queries, heads.embed_pages):
        heads.zero_grad()
        embed(tokens)[:, 0].sum().backward()
        assert heads.layer_mix.weight.grad.abs().min() > 1e-4


def test_mixing_heads_are_loaded_strictly(tmp_path):
    """A mix that is silently left out, or made up, because the description says otherwise."""
    heads, info = _mixing_heads()
    save_heads(heads, str(tmp_path), info.model_copy(update={"layer_mix": False}))
    with pytest.raises(CheckpointError, match=r"'layer_mix\.weight' is unknown"):
        load_heads(str(tmp_path))
    plain = init_heads(HeadsConfig(dim=DIM), WIDTH, seed=0, num_layers=2)
    assert sorted(plain.state_dict()) == ["page.weight", "query.weight"]
    save_heads(plain, str(tmp_path), info)
    with pytest.raises(CheckpointError, match=r"'layer_mix\.weight' is missing"):
        load_heads(str(tmp_path))


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


@pytest.mark.parametrize("shared", [False, True])
def test_heads_as_wide_as_the_features_begin_as_they_are(shared):
    """A backbone whose cosines find pages already, and random heads that lose a fifth of that."""
    heads = init_heads(HeadsConfig(dim=WIDTH + 8, shared=shared), WIDTH, seed=0)
    token_TH = torch.randn(20, WIDTH, generator=torch.Generator().manual_seed(3))
    unit_TH = torch.nn.functional.normalize(token_TH, dim=-1)
    scores_TT = heads.embed_queries(token_TH) @ heads.embed_pages(token_TH).T
    torch.testing.assert_close(scores_TT, unit_TH @ unit_TH.T)


@pytest.mark.parametrize(("kind", "layer_mix"), [("linear", False), ("mlp", False), ("mlp", True)])
def test_a_token_is_embedded_alike_whatever_stands_beside_it(kind, layer_mix):
    """A page's scores that depend on its shard: products of few rows round otherwise."""
    heads = init_heads(HeadsConfig(kind=kind, layer_mix=layer_mix), 160, seed=0, num_layers=2)
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


def test_the_levers_of_the_backbone_stand_beside_the_heads(tmp_path):
    """Heads that are used on other layers than theirs, on another attention, or other tiles."""
    config = parse_config(
        {
            "data": {"train": "demo"},
            "backbone": {"layer": [-1, 1], "attention": "bidirectional", "pad_to_grid": True},
            "heads": {"dim": DIM, "layer_mix": True},
        },
        "test",
    )
    info = heads_info(config, WIDTH, {})
    heads = init_heads(config.heads, WIDTH, seed=0, num_layers=config.backbone.num_layers)
    save_heads(heads, str(tmp_path), info)
    document = json.loads((tmp_path / "colintern.json").read_text())
    wanted = {"path": "reader", "revision": None, "layer": [-1, 1], "attention": "bidirectional"}
    assert document["backbone"] == wanted
    assert document["layer_mix"] is document["pad_to_grid"] is True
    assert load_heads(str(tmp_path))[1] == info
