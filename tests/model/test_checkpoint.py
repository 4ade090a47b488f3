"""Folders that are not a whole checkpoint are refused in one line that names what is missing."""

import pytest

from colintern.errors import BackboneError
from colintern.model.backbone import read_identity
from tests.model.folders import backbone_at, change_json


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
        read_identity(backbone_at(folder))
    assert "\n" not in str(raised.value)


def test_an_index_without_its_metadata_is_named(twin_copy):
    """A traceback in an actor: transformers reads the part that nothing depends on."""
    folder = twin_copy("InternVL3-38B")
    change_json(folder, "model.safetensors.index.json", metadata=None)
    with pytest.raises(BackboneError, match=r"index\.json is not an index of weights"):
        read_identity(backbone_at(folder))


def test_an_adapter_is_named(twin_copy):
    """Features with an adapter where peft is installed, without it elsewhere, and not a word."""
    folder = twin_copy("InternVL3_5-1B")
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    with pytest.raises(BackboneError, match=r"holds an adapter \(adapter_config\.json\)"):
        read_identity(backbone_at(folder))
