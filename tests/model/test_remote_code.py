"""Code that comes with a checkpoint is never run, and nobody is asked whether it should be."""

import ast
import builtins
from pathlib import Path

import pytest

import colintern
from colintern.errors import BackboneError
from colintern.model.backbone import FrozenBackbone, read_identity
from tests.model.folders import backbone_at, change_json

ROOT = Path(colintern.__file__).parent
CODE = {
    "model": ("config.json", (), {"model_type": "evil"}),
    "chat model": ("config.json", (), {"model_type": "internvl_chat"}),
    "language model": ("config.json", ("text_config",), {"model_type": "evil"}),
}


def _add_code(folder, ran: Path, file: str, *part: str, **changes) -> None:
    (folder / "evil.py").write_text(f"open({str(ran)!r}, 'w')\nclass Evil: pass\n")
    auto_map: dict = dict.fromkeys(("AutoConfig", "AutoModel", "AutoImageProcessor"), "evil.Evil")
    auto_map["AutoTokenizer"] = ["evil.Evil", "evil.Evil"]
    change_json(folder, file, *part, auto_map=auto_map, **changes)


@pytest.mark.parametrize("case", CODE)
def test_code_of_a_checkpoint_is_never_run_nor_asked_about(twin_copy, tmp_path, monkeypatch, case):
    """A folder of an unknown kind that makes transformers ask "run the custom code? [y/N]"."""
    monkeypatch.setattr(builtins, "input", lambda _: "y")
    folder, ran = twin_copy("InternVL3_5-1B"), tmp_path / "ran"
    file, part, changes = CODE[case]
    _add_code(folder, ran, file, *part, **changes)
    for open_backbone in (read_identity, FrozenBackbone):
        with pytest.raises(BackboneError, match=r"the -hf checkpoints.* never run") as raised:
            open_backbone(backbone_at(folder))
        assert "\n" not in str(raised.value)
    assert not ran.exists()


def test_code_of_a_tokenizer_or_image_processor_is_passed_over(twin_copy, tmp_path, monkeypatch):
    """The files of an InternVL with a program beside them, which transformers asks about."""
    monkeypatch.setattr(builtins, "input", lambda _: "y")
    folder, ran = twin_copy("InternVL3_5-1B"), tmp_path / "ran"
    _add_code(folder, ran, "tokenizer_config.json", tokenizer_class="EvilTokenizer")
    _add_code(folder, ran, "preprocessor_config.json", image_processor_type="Evil")
    read_identity(backbone_at(folder))
    FrozenBackbone(backbone_at(folder)).encode_queries(["a query"])
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
