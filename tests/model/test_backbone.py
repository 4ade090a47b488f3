"""Features equal transformers' own model run, whatever batch they were computed in."""

import json
import os
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from colintern.config.schema import BackboneConfig, Layers
from colintern.errors import BackboneError
from colintern.model.backbone import FrozenBackbone, read_identity
from colintern.model.random_checkpoint import write_random_checkpoint

PROMPT, PREFIX, TOKENS = "Look: ", "Query: ", 64
SIZES = [(224, 224), (448, 448), (300, 900), (1000, 310), (50, 50), (224, 224)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    write_random_checkpoint(folder, seed=1)
    return folder


def _config(checkpoint, **settings) -> BackboneConfig:
    return BackboneConfig(
        **{"path": str(checkpoint), "page_prompt": PROMPT, "query_prefix": PREFIX, **settings}
    )


def _pictures() -> list[Image.Image]:
    draw = np.random.default_rng(0)
    return [
        Image.fromarray(draw.integers(0, 256, (height, width, 3), dtype=np.uint8))
        for width, height in SIZES
    ]


def _expected(checkpoint, picture: Image.Image, layer: Layers) -> torch.Tensor:
    """One page by InternVLProcessor's rules: text with the expanded image, tokenized as a whole."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    images = GotOcr2ImageProcessorPil.from_pretrained(checkpoint)
    inputs = images(images=[picture], crop_to_patches=True, max_patches=12, return_tensors="pt")
    tiles = inputs["pixel_values"].shape[0]
    text = f"{PROMPT}<img>{'<IMG_CONTEXT>' * TOKENS * tiles}</img>"
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    model = AutoModel.from_pretrained(checkpoint).eval()
    with torch.no_grad():
        outputs = model(
            input_ids=ids, pixel_values=inputs["pixel_values"], output_hidden_states=True
        )
    if layer == "projector":
        return outputs.image_hidden_states.flatten(0, 1)
    is_image = ids[0] == model.config.image_token_id
    if not isinstance(layer, tuple):
        return outputs.hidden_states[layer][0, is_image]
    return torch.cat([_of_unit_size(outputs.hidden_states[n][0, is_image]) for n in layer], dim=1)


def _of_unit_size(tokens: torch.Tensor) -> torch.Tensor:
    return tokens / tokens.pow(2).mean(dim=1, keepdim=True).sqrt()


@pytest.mark.parametrize("layer", [-1, 0, 1, "projector", (-1, 0), (1, 2)])
def test_page_features_equal_transformers(checkpoint, layer):
    """Tiles in another order, a lost thumbnail, the wrong layer, prompt tokens kept."""
    pictures = _pictures()
    found = FrozenBackbone(_config(checkpoint, layer=layer)).encode_pages(pictures)
    for picture, features in zip(pictures, found, strict=True):
        expected = _expected(checkpoint, picture, layer)
        assert features.shape == expected.shape
        torch.testing.assert_close(features, expected, atol=2e-5, rtol=1e-4)
    assert len({len(features) for features in found}) > 2


def test_several_layers_stand_side_by_side_in_the_order_given(checkpoint):
    """Layers sorted, or one that drowns the other; all hidden states in memory to take two."""
    texts = ["Where?", "a longer question"]
    backbone = FrozenBackbone(_config(checkpoint, layer=(-1, 0)))
    kept: list[int] = []
    backbone._model.language_model.register_forward_hook(
        lambda _, __, outputs: kept.append(sum(h is not None for h in outputs.hidden_states))
    )
    found = backbone.encode_queries(texts)
    assert kept == [2, 2]
    assert read_identity(_config(checkpoint, layer=(-1, 0))).width == backbone.width == 320
    alone = [FrozenBackbone(_config(checkpoint, layer=n)).encode_queries(texts) for n in (2, 0)]
    for both, last, first in zip(found, *alone, strict=True):
        expected = torch.cat([_of_unit_size(last), _of_unit_size(first)], dim=1)
        torch.testing.assert_close(both, expected, atol=1e-6, rtol=1e-5)
        assert last.norm() > 10 * first.norm()


@pytest.mark.parametrize("attention", ["causal", "bidirectional"])
def test_features_do_not_depend_on_the_batch(checkpoint, attention):
    """A page that is padded to a larger one, or queries that see each other's padding."""
    pictures = _pictures()
    backbone = FrozenBackbone(_config(checkpoint, attention=attention))
    together = backbone.encode_pages(pictures)
    for batch_tokens in (1, 200):
        for one, other in zip(
            together, backbone.encode_pages(pictures, batch_tokens=batch_tokens), strict=True
        ):
            torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-4)
    texts = ["short", "a much longer question", "", "short"]
    alone = [backbone.encode_queries([text])[0] for text in texts]
    for one, other in zip(backbone.encode_queries(texts), alone, strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-4)


def test_query_features_are_prefix_text_and_augmentation(checkpoint):
    """Augmentation that is dropped as padding; a prefix that is forgotten."""
    backbone = FrozenBackbone(_config(checkpoint, query_augmentation_tokens=3))
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    ids = tokenizer(f"{PREFIX}Where?", return_tensors="pt")["input_ids"]
    ids = torch.cat([ids, torch.full((1, 3), tokenizer.pad_token_id)], dim=1)
    model = AutoModel.from_pretrained(checkpoint).eval()
    with torch.no_grad():
        expected = model(input_ids=ids).last_hidden_state[0]
    torch.testing.assert_close(
        backbone.encode_queries(["Where?"])[0], expected, atol=2e-5, rtol=1e-4
    )


def test_special_tokens_in_a_query_are_text(checkpoint):
    """A query with <IMG_CONTEXT> that asks the model for an image which is not there."""
    backbone = FrozenBackbone(_config(checkpoint))
    features = backbone.encode_queries(["<img><IMG_CONTEXT></img>", "<IMG_CONTEXT>"])
    assert [len(tokens) for tokens in features] == [len(PREFIX) + 24, len(PREFIX) + 13]


@settings(max_examples=60, deadline=None)
@given(st.integers(10, 1500), st.integers(10, 1500), st.integers(1, 12))
def test_the_planner_knows_what_the_processor_does(checkpoint, width, height, max_tiles):
    """A shard plan made for other tiles than the model sees."""
    identity = read_identity(_config(checkpoint, max_tiles=max_tiles))
    images = GotOcr2ImageProcessorPil.from_pretrained(checkpoint)
    tiles = images.get_number_of_image_patches(
        height, width, {"max_patches": max_tiles, "crop_to_patches": True}
    )
    assert identity.num_page_tokens(width, height) == TOKENS * tiles
    rows, columns = identity.tile_grid(width, height)
    assert rows * columns + (rows * columns > 1) == tiles


def test_the_random_checkpoint_is_the_same_everywhere(checkpoint, tmp_path):
    """Features that differ between nodes because each made other random weights."""
    write_random_checkpoint(tmp_path, seed=1)
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        assert (tmp_path / name).read_bytes() == (checkpoint / name).read_bytes()


@pytest.mark.parametrize("fault", ["missing", "renamed", "reshaped"])
def test_a_damaged_checkpoint_is_refused(checkpoint, tmp_path, fault):
    """Weights that are silently left random because their name or shape changed (property 9)."""
    folder = tmp_path / "damaged"
    shutil.copytree(checkpoint, folder)
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name.endswith("mlp.down_proj.weight"))
    weight = weights.pop(name)
    if fault == "renamed":
        weights[name.replace("down_proj", "down")] = weight
    if fault == "reshaped":
        weights[name] = weight[:, :-1].contiguous()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(BackboneError, match="down"):
        FrozenBackbone(_config(folder))


def test_mistakes_are_named(checkpoint, tmp_path):
    """A traceback from deep inside transformers."""
    other = tmp_path / "bert"
    shutil.copytree(checkpoint, other)
    (other / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(BackboneError, match="bert"):
        read_identity(_config(other))
    with pytest.raises(BackboneError, match="hidden states 0 to 2"):
        read_identity(_config(checkpoint, layer=7))
    with pytest.raises(BackboneError, match=r"layer=\[0, 7\]: the model has hidden states 0 to 2"):
        read_identity(_config(checkpoint, layer=[0, 7]))
    with pytest.raises(BackboneError, match=r"layer=\[-1, 2\]: names a layer twice"):
        read_identity(_config(checkpoint, layer=[-1, 2]))
    with pytest.raises(BackboneError, match="safetensors"):
        read_identity(_config(tmp_path))
    cut = tmp_path / "cut"
    shutil.copytree(checkpoint, cut)
    os.truncate(cut / "model.safetensors", 10_000)
    with pytest.raises(BackboneError, match="is missing or incomplete"):
        read_identity(_config(cut))
    shutil.copy(checkpoint / "model.safetensors", cut)
    index = {"metadata": {}, "weight_map": {"a": "second.safetensors"}}
    (cut / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(BackboneError, match=r"second\.safetensors is missing"):
        read_identity(_config(cut))
    (cut / "model.safetensors.index.json").write_text("{")
    with pytest.raises(BackboneError, match="is not an index of weights"):
        read_identity(_config(cut))
    with pytest.raises(BackboneError, match="no such folder"):
        read_identity(_config("/no/such/folder"))


def test_no_code_of_a_checkpoint_is_run(checkpoint, tmp_path):
    """A checkpoint from the Hub that brings a program along (property 9)."""
    folder = tmp_path / "with code"
    shutil.copytree(checkpoint, folder)
    ran = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(ran)!r}, 'w')\nclass Evil: pass\n")
    for name in ("config.json", "tokenizer_config.json", "preprocessor_config.json"):
        document = json.loads((folder / name).read_text())
        kinds = ("AutoConfig", "AutoModel", "AutoTokenizer", "AutoImageProcessor")
        document["auto_map"] = dict.fromkeys(kinds, "evil.Evil")
        (folder / name).write_text(json.dumps(document))
    FrozenBackbone(_config(folder)).encode_queries(["a query"])
    assert not ran.exists()


@pytest.mark.gpu
def test_features_on_a_gpu_are_close_to_those_on_the_cpu(checkpoint):
    """A device or dtype that is lost on the way."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    pictures = _pictures()
    cpu = FrozenBackbone(_config(checkpoint)).encode_pages(pictures)
    gpu = FrozenBackbone(_config(checkpoint, dtype="float32"), "cuda").encode_pages(pictures)
    for one, other in zip(cpu, gpu, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("max_tiles", [1, 4, 12])
def test_tiles_are_transformers_own(checkpoint, max_tiles):
    """Pages that another library would cut otherwise, if only by a rounding of one pixel."""
    backbone = FrozenBackbone(_config(checkpoint, max_tiles=max_tiles))
    images = GotOcr2ImageProcessorPil.from_pretrained(checkpoint)
    options = {"crop_to_patches": True, "max_patches": max_tiles, "return_tensors": "pt"}
    for picture in _pictures():
        expected = images(images=[picture], **options)["pixel_values"]
        tiles = backbone.tiler(picture)
        assert torch.equal(backbone._pixel_values([tiles]), expected), picture.size
