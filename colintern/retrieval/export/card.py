"""The model card of an exported folder: README.md, made from what the run has recorded.

It names no place on this machine: of a local folder it says the last part only.
"""

import re
from collections.abc import Mapping
from typing import Any

import jinja2
import yaml

from colintern import storage
from colintern.config.schema import (
    READERS,
    BackboneConfig,
    DatasetConfig,
    datasets,
    evaluated_names,
)
from colintern.data.hub import is_url
from colintern.model.checkpoint import find_checkpoint
from colintern.records.run_folder import RunFolder
from colintern.retrieval.export.template import Side
from colintern.retrieval.finished import FinishedRun

_METRICS = {
    "ndcg_at_5": "nDCG@5",
    "ndcg_at_10": "nDCG@10",
    "recall_at_5": "Recall@5",
    "recall_at_10": "Recall@10",
    "mrr_at_10": "MRR@10",
}
# What a card of the Hub says of a licence; its name and place where `license` is "other".
_LICENCE = ("license", "license_name", "license_link")
_FRONT_MATTER = re.compile(r"---\r?\n(.*?)\r?\n---\r?\n", re.DOTALL)
# Sections that say how the model came to be, without what depends on the machines.
_SHOWN = ("backbone", "features", "heads", "training", "mining")
_HIDDEN = {
    "path",
    "root",
    "init_heads",
    "num_workers",
    "shard_bytes",
    "batch_tokens",
    "cache_bytes",
}


def card(run: FinishedRun, dim: int, side: Side | None) -> str:
    """The text of README.md.

    Args:
        run: what is exported.
        dim: numbers of each vector.
        side: whose heads are in the folder; None for both.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("colintern.retrieval.export", "."),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    backbone = run.config.backbone
    licence = _licence(backbone)
    return environment.get_template("card.md.jinja").render(
        front_matter=_front_matter(run, licence),
        run=run,
        name=run.config.run.name,
        backbone=_backbone_name(backbone),
        is_on_hub=_is_on_hub(backbone),
        licence=licence,
        side=side,
        dim=dim,
        metrics=_METRICS,
        with_interval=_with_interval,
        as_yaml=_as_yaml,
        evaluations=_evaluations(run),
        rounds=_rounds(run.folder),
        data=[_described(dataset) for dataset in datasets(run.config.data)],
        settings=_settings(run),
    )


def _front_matter(run: FinishedRun, licence: Mapping[str, str]) -> str:
    languages = {dataset.language for dataset in datasets(run.config.data)} - {None}
    document: dict[str, Any] = {
        "library_name": "sentence-transformers",
        "pipeline_tag": "visual-document-retrieval",
        "tags": ["sentence-transformers", "multi-vector", "late-interaction", "colintern"],
    }
    if _is_on_hub(run.config.backbone):
        document |= {"base_model": run.config.backbone.path}
    document |= licence
    if languages:
        document |= {"language": sorted(map(str, languages))}
    return _as_yaml(document)


def _evaluations(run: FinishedRun) -> list[Mapping[str, Any]]:
    """The measurements of the round, each beside the one before training."""
    found, folder = [], run.folder
    for name in evaluated_names(run.config.data):
        path = folder.evaluation(run.round_number, name)
        if storage.exists(path):
            start = folder.evaluation(0, name)
            before = storage.read_json(start)["metrics"] if storage.exists(start) else {}
            found.append({"protocol": None, **storage.read_json(path), "before": before})
    return found


def _with_interval(found: Mapping[str, Any], key: str) -> str:
    """A metric of a measurement; nothing for one that it has not."""
    if key not in found["metrics"]:
        return ""
    low, high = found["ci"][key]
    return f"{found['metrics'][key]:.4f} ({low:.4f} to {high:.4f})"


def _rounds(folder: RunFolder) -> list[Mapping[str, Any]]:
    return storage.read_json(folder.loop_json)["rounds"] if storage.exists(folder.loop_json) else []


def _described(dataset: DatasetConfig) -> str:
    return f"{dataset.name}: {dataset.path}" if is_url(dataset.path) else dataset.name


def _settings(run: FinishedRun) -> dict[str, Any]:
    document = run.config.model_dump(mode="json")
    return {
        section: {key: value for key, value in document[section].items() if key not in _HIDDEN}
        for section in _SHOWN
    }


def _as_yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).strip()


def _backbone_name(config: BackboneConfig) -> str:
    """As somebody else can find it."""
    if config.path in READERS:
        return f"the tiny InternVL inside ColIntern, `{config.path}`"
    if _is_on_hub(config):
        return f"[{config.path}](https://huggingface.co/{config.path}) at {config.revision}"
    return f"`{storage.absolute(config.path).rstrip('/').rpartition('/')[2]}`, a local folder"


def _is_on_hub(config: BackboneConfig) -> bool:
    return config.revision is not None and not storage.exists(storage.absolute(config.path))


def _licence(config: BackboneConfig) -> dict[str, str]:
    """That of the backbone, as its own card says; empty where it says nothing."""
    if config.path in READERS:
        return {"license": "apache-2.0"}  # as all of this package
    path = find_checkpoint(config) / "README.md"
    found = _FRONT_MATTER.match(path.read_text(errors="replace")) if path.is_file() else None
    try:
        document = yaml.safe_load(found[1]) if found else None
    except yaml.YAMLError:
        return {}
    if not isinstance(document, dict) or not isinstance(document.get("license"), str):
        return {}
    said = {key: document[key] for key in _LICENCE if isinstance(document.get(key), str)}
    if not said.get("license_link", "").startswith("https://"):
        said.pop("license_link", None)  # a file beside that card, which is not in this folder
    return said
