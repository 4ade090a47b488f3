"""Unusable checkpoints are refused in one line, before any work; no code of them is run."""

import ast
import builtins
import json
import logging
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import colintern
from colintern.config.schema import BackboneConfig
from colintern.errors import BackboneError
from colintern.model.backbone import FrozenBackbone, read_identity

ROOT = Path(colintern.__file__).parent


def _config(folder) -> BackboneConfig:
    return BackboneConfig(path=str(folder))


def _change(folder, file: str, *part: str, **changes) -> None:
    """Set keys of a JSON document, or of a part of it; None removes one."""
    document = json.loads((folder / file).read_text())
    section = document
    for key in part:
        section = section[key]
    section.update({key: value for key, value in changes.items() if value is not None})
    for key in (key for key, value in changes.items() if value is None):
        section.pop(key, None)
    (folder / file).write_text(json.dumps(document))


def _file_with(folder, ending: str) -> tuple[Path, str]:
    for file in sorted(folder.glob("*.safetensors")):
        for name in load_file(file):
            if name.endswith(ending):
                return file, name
    raise AssertionError(f"no weight {ending}")


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
    file, key = _file_with(folder, "layers.1.self_attn.o_proj.weight")
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
        read_identity(_config(folder))
    assert problem in str(raised.value)
    assert named in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_expert_that_is_missing_is_refused(twin_copy):
    """Experts that are merged into one weight, with one of them left out."""
    folder = twin_copy("InternVL3_5-30B-A3B")
    file, key = _file_with(folder, "layers.1.mlp.experts.2.down_proj.weight")
    weights = load_file(file)
    del weights[key]
    save_file(weights, file, {"format": "pt"})
    with pytest.raises(BackboneError, match=r"mismatched keys: .*experts\.down_proj"):
        read_identity(_config(folder))


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
    read_identity(_config(folder))
    FrozenBackbone(_config(folder)).encode_queries(["a query"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_other_floats_load(twin_copy, dtype):
    """Only checkpoints in bfloat16 that load."""
    folder = twin_copy("InternVL3_5-1B")
    weights = load_file(folder / "model.safetensors")
    weights = {name: weight.to(dtype) for name, weight in weights.items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    read_identity(_config(folder))
    assert len(FrozenBackbone(_config(folder)).encode_queries(["a query"])) == 1


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
    _change(folder, "config.json", *part, **changes)
    monkeypatch.setattr(logging.getLogger("transformers"), "handlers", [caplog.handler])
    caplog.clear()
    with pytest.raises(BackboneError, match=expected) as raised:
        read_identity(_config(folder))
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
    _change(folder, "config.json", *part, **changes)
    assert read_identity(_config(folder)).tiles.tokens_per_tile == 256
    pages = [Image.new("RGB", (100, 100), "white")]
    one, other = (FrozenBackbone(_config(f)) for f in (folder, twin("InternVL3_5-1B")[0]))
    assert torch.equal(one.encode_pages(pages)[0], other.encode_pages(pages)[0])


@pytest.mark.parametrize(
    ("removed", "expected"),
    [
        (["preprocessor_config.json"], "its image processor cannot be loaded"),
        (["preprocessor_config.json", "processor_config.json"], "its image processor"),
        (["tokenizer.json", "vocab.json", "merges.txt"], "it has no tokenizer"),
        (["config.json"], "no usable config.json"),
        (["model-00002-of-00003.safetensors"], "model-00002-of-00003.safetensors is missing"),
        (["model.safetensors.index.json"], "neither model.safetensors nor model.safetensors.index"),
    ],
)
def test_a_missing_file_is_named(twin_copy, removed, expected):
    """A folder that was copied in part."""
    folder = twin_copy("InternVL3-38B")
    for name in removed:
        (folder / name).unlink()
    with pytest.raises(BackboneError, match=expected) as raised:
        read_identity(_config(folder))
    assert "\n" not in str(raised.value)


def test_an_index_without_its_metadata_is_named(twin_copy):
    """A traceback in an actor: transformers reads the part that nothing depends on."""
    folder = twin_copy("InternVL3-38B")
    _change(folder, "model.safetensors.index.json", metadata=None)
    with pytest.raises(BackboneError, match=r"index\.json is not an index of weights"):
        read_identity(_config(folder))


def test_an_adapter_is_named(twin_copy):
    """Features with an adapter where peft is installed, without it elsewhere, and not a word."""
    folder = twin_copy("InternVL3_5-1B")
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    with pytest.raises(BackboneError, match=r"holds an adapter \(adapter_config\.json\)"):
        read_identity(_config(folder))


def test_a_tokenizer_without_its_fast_file_gives_the_same_ids(twin, twin_copy):
    """A folder with vocab.json and merges.txt only."""
    folder = twin_copy("InternVL3-38B")
    (folder / "tokenizer.json").unlink()
    texts = ["Where is 2024's kettle?", "页码"]
    one, other = (FrozenBackbone(_config(f)) for f in (folder, twin("InternVL3-38B")[0]))
    for found, expected in zip(one.encode_queries(texts), other.encode_queries(texts), strict=True):
        assert torch.equal(found, expected)


def test_an_image_processor_that_is_none_is_named(twin_copy):
    """A traceback from a preprocessor_config.json of another kind."""
    folder = twin_copy("InternVL3_5-1B")
    for content in ("[]", "{", '{"size": null}', '{"size": "large"}', '{"size": {"height": 448}}'):
        (folder / "preprocessor_config.json").write_text(content)
        with pytest.raises(BackboneError, match=r"image processor") as raised:
            read_identity(_config(folder))
        assert "\n" not in str(raised.value)


CODE = {
    "model": ("config.json", (), {"model_type": "evil"}),
    "chat model": ("config.json", (), {"model_type": "internvl_chat"}),
    "language model": ("config.json", ("text_config",), {"model_type": "evil"}),
}


def _add_code(folder, ran: Path, file: str, *part: str, **changes) -> None:
    (folder / "evil.py").write_text(f"open({str(ran)!r}, 'w')\nclass Evil: pass\n")
    auto_map: dict = dict.fromkeys(("AutoConfig", "AutoModel", "AutoImageProcessor"), "evil.Evil")
    auto_map["AutoTokenizer"] = ["evil.Evil", "evil.Evil"]
    _change(folder, file, *part, auto_map=auto_map, **changes)


@pytest.mark.parametrize("case", CODE)
def test_code_of_a_checkpoint_is_never_run_nor_asked_about(twin_copy, tmp_path, monkeypatch, case):
    """A folder of an unknown kind that makes transformers ask "run the custom code? [y/N]"."""
    monkeypatch.setattr(builtins, "input", lambda _: "y")
    folder, ran = twin_copy("InternVL3_5-1B"), tmp_path / "ran"
    file, part, changes = CODE[case]
    _add_code(folder, ran, file, *part, **changes)
    for open_backbone in (read_identity, FrozenBackbone):
        with pytest.raises(BackboneError, match=r"the -hf checkpoints.* never run") as raised:
            open_backbone(_config(folder))
        assert "\n" not in str(raised.value)
    assert not ran.exists()


def test_code_of_a_tokenizer_or_image_processor_is_passed_over(twin_copy, tmp_path, monkeypatch):
    """The files of an InternVL with a program beside them, which transformers asks about."""
    monkeypatch.setattr(builtins, "input", lambda _: "y")
    folder, ran = twin_copy("InternVL3_5-1B"), tmp_path / "ran"
    _add_code(folder, ran, "tokenizer_config.json", tokenizer_class="EvilTokenizer")
    _add_code(folder, ran, "preprocessor_config.json", image_processor_type="Evil")
    read_identity(_config(folder))
    FrozenBackbone(_config(folder)).encode_queries(["a query"])
    assert not ran.exists()


def test_every_loader_is_told_not_to_run_code():
    """A `from_pretrained` that leaves it to transformers whether to ask, or to run."""
    calls = [
        (file, node)
        for top in (ROOT, ROOT.parent / "pretraining", ROOT.parent / "benchmarks")
        for file in top.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("from_pretrained", "from_config")
    ]
    assert len(calls) >= 4
    for file, call in calls:
        told = {word.arg: word.value for word in call.keywords}.get("trust_remote_code")
        assert isinstance(told, ast.Constant), f"{file.name}:{call.lineno}"
        assert told.value is False
