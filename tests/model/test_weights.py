"""Weights of another model are refused in one line before any work, from their headers."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from colintern.errors import BackboneError
from colintern.model.backbone import FrozenBackbone, read_identity
from tests.model.folders import backbone_at, file_with

FAULTS = {
    "missing": ("missing", "o_proj.weight"),
    "renamed": ("missing", "o_proj.weight"),
    "reshaped": ("mismatched", "o_proj.weight"),
    "unknown": ("unexpected", "vision_tower.extra"),
    "float8": ("as F8_E4M3; quantised", "o_proj.weight"),
    "int8": ("as I8; quantised", "o_proj.weight"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ["InternVL3-38B", "InternVL3-9B"])  # keys of 4.52 and of 5
def test_other_weights_are_refused_before_work_starts(name, twin_copy, fault):
    """Weights that are found missing, left over or quantised in an actor, after Ray's start."""
    folder = twin_copy(name)
    file, key = file_with(folder, "layers.1.self_attn.o_proj.weight")
    weights = load_file(file)
    weight = weights.pop(key)
    changed = {
        "missing": {},
        "renamed": {key.replace("o_proj", "out_proj"): weight},
        "reshaped": {key: weight[:, :-1].contiguous()},
        "unknown": {key: weight, "vision_tower.extra": weight.clone()},
        "float8": {key: weight.to(torch.float8_e4m3fn)},
        "int8": {key: weight.to(torch.int8)},
    }
    save_file(weights | changed[fault], file, {"format": "pt"})
    problem, named = FAULTS[fault]
    with pytest.raises(BackboneError) as raised:
        read_identity(backbone_at(folder))
    assert problem in str(raised.value)
    assert named in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_expert_that_is_missing_is_refused(twin_copy):
    """Experts that are merged into one weight, with one of them left out."""
    folder = twin_copy("InternVL3_5-30B-A3B")
    file, key = file_with(folder, "layers.1.mlp.experts.2.down_proj.weight")
    weights = load_file(file)
    del weights[key]
    save_file(weights, file, {"format": "pt"})
    with pytest.raises(BackboneError, match=r"mismatched keys: .*experts\.down_proj"):
        read_identity(backbone_at(folder))


@pytest.mark.parametrize(
    "name",
    [
        "lm_head.weight",
        "model.lm_head.weight",
        "language_model.lm_head.weight",
        "language_model.model.lm_head.weight",
        "model.language_model.lm_head.weight",
        "language_model.lm_head.bias",
        "language_model.model.rotary_emb.inv_freq",
        "language_model.model.layers.0.self_attn.rotary_emb.inv_freq",
        "vision_tower.embeddings.position_ids",
    ],
)
def test_the_language_head_and_buffers_are_no_part_of_the_model(name, twin_copy):
    """A head or a buffer, in whatever spelling, that keeps a checkpoint from loading."""
    folder = twin_copy("InternVL3_5-1B")  # tied: it has no head of its own
    weights = load_file(folder / "model.safetensors")
    extra = torch.arange(8) if name.endswith("ids") else torch.zeros(4, 28)
    save_file(weights | {name: extra}, folder / "model.safetensors", {"format": "pt"})
    read_identity(backbone_at(folder))
    FrozenBackbone(backbone_at(folder)).encode_queries(["a query"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_other_floats_load(twin_copy, dtype):
    """Only checkpoints in bfloat16 that load."""
    folder = twin_copy("InternVL3_5-1B")
    weights = load_file(folder / "model.safetensors")
    weights = {name: weight.to(dtype) for name, weight in weights.items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    read_identity(backbone_at(folder))
    assert len(FrozenBackbone(backbone_at(folder)).encode_queries(["a query"])) == 1
