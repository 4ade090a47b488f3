"""A config.json of something else is refused in one line; other spellings of ours are not."""

import json
import logging

import pytest
import torch
from PIL import Image

from colintern.errors import BackboneError
from colintern.model.backbone import FrozenBackbone, read_identity
from tests.model.folders import backbone_at, change_json

CONFIGS = {
    "of the format with code of its own": (
        (),
        {"model_type": "internvl_chat", "architectures": ["InternVLChatModel"]},
        "internvl_chat; .*the -hf checkpoints",
    ),
    "of a kind nobody knows": ((), {"model_type": "evil"}, "type evil; .*the -hf checkpoints"),
    "of no kind": ((), {"model_type": None}, "type None; .*the -hf checkpoints"),
    "of a language model nobody knows": (
        ("text_config",),
        {"model_type": "internlm2"},
        "internlm2; .*the -hf checkpoints",
    ),
    "quantised": ((), {"quantization_config": {"quant_method": "awq"}}, "quantised weights"),
    "quantised in a part": (
        ("text_config",),
        {"quantization_config": {"quant_method": "fp8"}},
        "text_config.quantization_config",
    ),
    "of a wrong type": ((), {"downsample_ratio": "half"}, "downsample_ratio"),
    "with other image tokens": ((), {"vision_feature_select_strategy": "full"}, "select_strategy"),
    "without the layer that it names": ((), {"vision_feature_layer": 3}, "vision_feature_layer"),
    "without a shuffle": ((), {"downsample_ratio": 0.0}, "downsample_ratio"),
    "without patches": (("vision_config",), {"patch_size": 0}, "patch_size"),
    "that cannot be built": (("vision_config",), {"num_attention_heads": 3}, "can be built"),
    "with fewer layers": (("text_config",), {"num_hidden_layers": 1}, r"unexpected .*layers\.1"),
    "with more layers": (("vision_config",), {"num_hidden_layers": 3}, r"missing .*layer\.2"),
    "of a dtype nobody knows": ((), {"torch_dtype": "float7"}, "float7"),
    "of positions nobody knows": (
        ("text_config",),
        {"rope_scaling": {"type": "foo", "factor": 2.0}},
        "'foo'",
    ),
    "for another image token": ((), {"image_token_id": 7}, "image_token_id is 7"),
    "for other tiles": (("vision_config",), {"image_size": 224}, r"\(224, 224\)"),
    "with fewer rows than ids": (("text_config",), {"vocab_size": 2000}, "vocab_size is 2000"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_other_configurations_are_refused(twin_copy, case, caplog, monkeypatch):
    """A traceback, a random weight or a wrong feature from a config.json of something else.

    Nor may transformers' own lines stand beside ours.
    """
    part, changes, expected = CONFIGS[case]
    folder = twin_copy("InternVL3_5-1B")
    change_json(folder, "config.json", *part, **changes)
    monkeypatch.setattr(logging.getLogger("transformers"), "handlers", [caplog.handler])
    caplog.clear()
    with pytest.raises(BackboneError, match=expected) as raised:
        read_identity(backbone_at(folder))
    assert "\n" not in str(raised.value)
    assert not caplog.messages


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"image_token_index": True, "image_token_id": None}, ()),
        ({"downsample_ratio": None}, ()),
        ({"image_size": 448, "patch_size": 14}, ("vision_config",)),
        ({"model_type": None}, ("vision_config",)),
        ({"attn_implementation": "flash_attention_2"}, ()),
    ],
)
def test_other_spellings_of_a_configuration_load_the_same(twin, twin_copy, changes, part):
    """Fields that some published folders write otherwise, or leave out."""
    folder = twin_copy("InternVL3_5-1B")
    token = json.loads((folder / "config.json").read_text())["image_token_id"]
    changes = {key: token if value is True else value for key, value in changes.items()}
    change_json(folder, "config.json", *part, **changes)
    assert read_identity(backbone_at(folder)).tiles.tokens_per_tile == 256
    pages = [Image.new("RGB", (100, 100), "white")]
    one, other = (FrozenBackbone(backbone_at(f)) for f in (folder, twin("InternVL3_5-1B")[0]))
    assert torch.equal(one.encode_pages(pages)[0], other.encode_pages(pages)[0])
