"""Twins of all published families load, and give the features of transformers' own model."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from transformers import AutoTokenizer, InternVLConfig, InternVLForConditionalGeneration
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from colintern.config.schema import BackboneConfig
from colintern.features.catalog import Catalog
from colintern.model.backbone import FrozenBackbone, read_identity
from colintern.model.heads import init_heads, save_heads
from colintern.training.loop import RoundTask, open_round, train_round
from colintern.training.worker import Worker
from tests.features.helpers import config_of, encoded, planned
from tests.helpers import make_corpus
from tests.model.twins import (
    IMAGE_PROCESSOR,
    LANGUAGE_MODELS,
    QWEN2_TEXT,
    TWINS,
    VISION,
    config_document,
)
from tests.training.test_loop import INFO

PROMPT, PREFIX, TOKENS = "Look: ", "Query: ", 256
TEXTS = ["Where is the kettle?", " 页码 2024", "<IMG_CONTEXT>", "x"]
HEAD = {"4.52": "language_model.lm_head.weight", "5": "lm_head.weight"}
EMBEDDING = {
    "4.52": "language_model.model.embed_tokens.weight",
    "5": "model.language_model.embed_tokens.weight",
}


@pytest.fixture(params=TWINS)
def name(request) -> str:
    return request.param


def _page() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (500, 900, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def _weight_names(folder) -> set[str]:
    names: set[str] = set()
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as content:
            names.update(content.keys())
    return names


def test_a_twin_is_what_it_says(name, twin):
    """Twins that are all alike, because a newer transformers writes them in another way."""
    folder, _ = twin(name)
    kind, names = TWINS[name], _weight_names(folder)
    assert EMBEDDING[kind.keys] in names
    assert (HEAD[kind.keys] in names) != kind.tied
    assert not names & {HEAD["4.52" if kind.keys == "5" else "5"]}
    assert (folder / "model.safetensors.index.json").exists() == kind.sharded
    assert (folder / "preprocessor_config.json").exists() == (
        kind.image_processor == "preprocessor_config.json"
    )
    experts = {name for name in names if ".mlp.experts." in name}
    assert bool(experts) == (kind.text["model_type"] == "qwen3_moe")
    assert any(".experts.3.up_proj" in name for name in experts) == (
        bool(experts) and kind.keys == "4.52"
    )
    assert (
        any("q_norm" in name and "vision" in name for name in names) == kind.vision["use_qk_norm"]
    )


@pytest.mark.parametrize(
    ("name", "context"),
    [("InternVL3-1B", 151667), ("InternVL3_5-8B", 151671), ("InternVL3-9B", 92546)],
)
def test_twins_have_the_published_ids(twin, name, context):
    """Vocabularies in which the tokens of InternVL stand elsewhere."""
    config = json.loads((twin(name)[0] / "config.json").read_text())
    added = json.loads((twin(name)[0] / "added_tokens.json").read_text())
    assert config["image_token_id"] == added["<IMG_CONTEXT>"] == context
    assert added["<img>"] == context - 2


def test_a_published_checkpoint_gives_the_features_of_its_model(name, twin):
    """A checkpoint that is refused, half loaded, or read with other tokens or tiles."""
    folder, model = twin(name)
    config = BackboneConfig(path=str(folder), page_prompt=PROMPT, query_prefix=PREFIX, max_tiles=2)
    identity, backbone = read_identity(config), FrozenBackbone(config)
    assert identity.width == backbone.width == 28
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    images = GotOcr2ImageProcessorPil(**IMAGE_PROCESSOR)
    tiles = images(images=[_page()], crop_to_patches=True, max_patches=2, return_tensors="pt")
    text = f"{PROMPT}<img>{'<IMG_CONTEXT>' * 3 * TOKENS}</img>"
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        hidden = model.model(input_ids=ids, pixel_values=tiles["pixel_values"]).last_hidden_state
    expected = hidden[:, ids[0] == model.config.image_token_id][0]
    (found,) = backbone.encode_pages([_page()])
    assert found.shape == (3 * TOKENS, 28)
    assert identity.num_page_tokens(*_page().size) == 3 * TOKENS
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert found.std(dim=0).min() > 0.01  # the page's own tokens differ: no weight is without work
    for text, features in zip(TEXTS, backbone.encode_queries(TEXTS), strict=True):
        ids = tokenizer(PREFIX + text, add_special_tokens=False, split_special_tokens=True)
        with torch.no_grad():
            hidden = model.model(input_ids=torch.tensor([ids["input_ids"]])).last_hidden_state[0]
        torch.testing.assert_close(features, hidden, rtol=0, atol=0)


@pytest.mark.parametrize("name", LANGUAGE_MODELS.values())
@pytest.mark.parametrize("layer", [0, 1])
def test_no_layer_is_run_that_is_not_taken(name, twin, layer):
    """Time for layers above the one that is taken; another hidden state, or one behind the norm."""
    folder, model = twin(name)
    config = BackboneConfig(path=str(folder), query_prefix="", layer=layer)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    ids = tokenizer(TEXTS[0], add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        states = model.model(input_ids=ids, output_hidden_states=True).hidden_states
    backbone = FrozenBackbone(config)
    assert len(states) == 3
    assert len(backbone._model.language_model.layers) == 1
    torch.testing.assert_close(
        backbone.encode_queries(TEXTS[:1])[0], states[layer][0], rtol=0, atol=0
    )


@pytest.mark.parametrize("name", ["InternVL3-1B", "InternVL3_5-30B-A3B"])
def test_heads_learn_on_a_published_checkpoint(name, twin, tmp_path):
    """A backbone that loads, and whose store or features no round can be trained on."""
    path = str(twin(name)[0])
    make_corpus(tmp_path / "set", num_pages=6, num_queries=12)
    config = config_of(tmp_path, path)
    assert encoded(tmp_path, FrozenBackbone(config.backbone), path=path)
    plan, identity = planned(tmp_path, backbone=path)
    first = str(tmp_path / "first")
    info = INFO.model_copy(update={"features_width": identity.width, "dim": config.heads.dim})
    save_heads(init_heads(config.heads, identity.width, seed=0), first, info)
    dev, stores = config.data.model_copy(update={"dev_fraction": 0.2}), {"set": plan.target.path}
    task = RoundTask(
        round_number=1,
        seed=0,
        catalog=Catalog(dev, 0, stores),
        training=config.training.model_copy(update={"epochs": (4,), "global_batch": 4}),
        first_heads=first,
        triples=None,
        info=info,
        heads_folder=str(tmp_path / "heads"),
        log_path=str(tmp_path / "train_log.jsonl"),
    )
    train_round(task, open_round(task), Worker(), lambda _: None)
    log = [json.loads(line) for line in (tmp_path / "train_log.jsonl").read_text().splitlines()]
    assert len(log) >= 4
    assert all(np.isfinite(line["loss"]) for line in log)
    before, after = (tmp_path / name / "heads.safetensors" for name in ("first", "heads"))
    assert before.read_bytes() != after.read_bytes()


def test_the_full_size_twin_has_the_published_number_of_parameters():
    """Twins of another architecture than the published checkpoint's (InternVL3-1B)."""
    text = QWEN2_TEXT | {
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_attention_heads": 14,
        "num_hidden_layers": 24,
        "num_key_value_heads": 2,
    }
    vision = VISION | {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_attention_heads": 16,
        "num_hidden_layers": 24,
    }
    config = InternVLConfig.from_dict(config_document(text, vision, False, 151667))
    with torch.device("meta"):
        model = InternVLForConditionalGeneration(config)
    language = model.model.language_model
    parts = {
        "all": model,
        "vision": model.model.vision_tower,
        "projector": model.model.multi_modal_projector,
        "embedding": language.embed_tokens,
        "layer": language.layers[7],
        "norm": language.norm,
        "head": model.lm_head,
    }
    found = {
        key: sum(weight.numel() for weight in part.parameters()) for key, part in parts.items()
    }
    assert found == {
        "all": 938_193_024,
        "vision": 304_012_288,
        "projector": 4_482_816,
        "embedding": 151_674 * 896,
        "layer": 14_912_384,
        "norm": 896,
        "head": 151_674 * 896,
    }
