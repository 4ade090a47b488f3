"""The model card tells what the run has recorded, and nothing about the machine."""

import re
import shutil
from dataclasses import replace

import pytest
import yaml

from colintern import storage
from colintern.config.schema import BackboneConfig
from colintern.retrieval.export.card import card
from tests.local_run import BACKBONE

_FRONT_MATTER = re.compile(r"---\n(.*?)\n---\n", re.DOTALL)


def _front_matter(text: str) -> dict:
    found = _FRONT_MATTER.match(text)
    assert found
    return yaml.safe_load(found[1])


def _at(run, **backbone):
    changed = BackboneConfig(**backbone)
    return replace(run, config=run.config.model_copy(update={"backbone": changed}))


def test_results_are_those_that_were_measured(run):
    """Numbers of another round or dataset; one without its interval; rows that break the table."""
    text = card(run, run.info.dim, None)
    found = storage.read_json(run.folder.evaluation(run.round_number, "test"))
    (row,) = [line for line in text.splitlines() if line.startswith("| test |")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:3] == ["test", str(found["num_queries"]), str(found["num_pages"])]
    for cell, key in zip(cells[3:], ["ndcg_at_5", "ndcg_at_10"], strict=False):
        low, high = found["ci"][key]
        assert cell == f"{found['metrics'][key]:.4f} ({low:.4f} to {high:.4f})"
    (head,) = [line for line in text.splitlines() if line.startswith("| dataset |")]
    assert row.count("|") == head.count("|")
    start = storage.read_json(run.folder.evaluation(0, "test"))["metrics"]["ndcg_at_5"]
    assert cells[-1] == f"{start:.4f}"
    assert "{{" not in text


def test_what_was_not_measured_is_said(run):
    """The figures of 128 numbers under a model of 8."""
    assert "with 8 they have not been measured" in card(run, 8, None)
    assert "have not been measured" not in card(run, run.info.dim, None)


def test_a_protocol_is_shown(run, tmp_path):
    """Numbers that nobody can repeat, though the record says how they were made."""
    folder = replace(run.folder, path=shutil.copytree(run.folder.path, tmp_path / "run"))
    path = folder.evaluation(run.round_number, "test")
    storage.write_json(path, {**storage.read_json(path), "protocol": {"gain": "linear"}})
    text = card(replace(run, folder=folder), 16, None)
    assert "How test was measured:\n\n```yaml\ngain: linear\n```\n" in text


@pytest.mark.parametrize("side", [None, "query", "page"])
def test_the_lines_of_use_fit_the_side(run, side):
    """Lines to copy that fail: pages to a folder of queries."""
    text = card(run, 16, side)
    (use, *_) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    compile(use, "README.md", "exec")
    assert ("encode_query" in use) is (side != "page")
    assert ("encode_document" in use) is (side != "query")
    assert len(use.splitlines()) <= 8


def test_no_place_of_this_machine_is_told(run):
    """The owner's home folder, published on the Hub."""
    text = card(_at(run, path=str(BACKBONE)), 16, None)
    assert run.config.run.root not in text
    assert str(BACKBONE.parent) not in text
    assert "`backbone`, a local folder" in text


def test_the_licence_is_the_backbones(run, tmp_path):
    """A licence that nobody gave; one that is known, and left out."""
    assert _front_matter(card(run, 16, None))["license"] == "apache-2.0"
    (tmp_path / "model.safetensors").touch()
    unknown = card(_at(run, path=str(tmp_path)), 16, None)
    assert "license" not in _front_matter(unknown)
    assert "is not recorded" in unknown
    (tmp_path / "README.md").write_text("---\nlicense: mit\ntags: [x]\n---\nlicense: wrong\n")
    known = card(_at(run, path=str(tmp_path)), 16, None)
    assert _front_matter(known)["license"] == "mit"
    assert "The backbone's licence is mit." in known


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ('license: "mit"', {"license": "mit"}),
        (
            "license: other\nlicense_name: qwen\nlicense_link: https://q/LICENSE",
            {"license": "other", "license_name": "qwen", "license_link": "https://q/LICENSE"},
        ),
        ("license: other\nlicense_link: LICENSE", {"license": "other"}),
        ("license: [", {}),
        ("license: 3", {}),
    ],
)
def test_a_licence_is_kept_as_it_was_written(run, tmp_path, said, kept):
    """`other`, of which nobody can tell what it is; quotes in the name; a link to no file."""
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "README.md").write_text(f"---\n{said}\n---\n")
    text = card(_at(run, path=str(tmp_path)), 16, None)
    found = _front_matter(text)
    assert {key: found[key] for key in found if key.startswith("license")} == kept
    if "license_link" in kept:
        assert "The backbone's licence is qwen (https://q/LICENSE).\n" in text


def test_a_backbone_of_the_hub_is_named_with_its_commit(run, monkeypatch, tmp_path):
    """A base model that the Hub cannot link, or that moves."""
    monkeypatch.setattr("colintern.retrieval.export.card.find_checkpoint", lambda _: tmp_path)
    text = card(_at(run, path="owner/InternVL", revision="a" * 40), 16, None)
    assert _front_matter(text)["base_model"] == "owner/InternVL"
    assert f"at {'a' * 40}" in text
    assert "stands on https://huggingface.co/owner/InternVL" in text
