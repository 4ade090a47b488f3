"""Reads and checks a checkpoint's config.json, as data: code of the checkpoint is never run."""

import json
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import CONFIG_MAPPING, AutoConfig

from colintern.config.schema import BackboneConfig
from colintern.errors import BackboneError, one_line
from colintern.model.quiet import quiet_transformers

NEEDED = (
    "ColIntern needs InternVL in transformers' own format (the -hf checkpoints), because it never "
    "runs code that comes with a checkpoint"
)


def read_internvl_config(folder: Path, config: BackboneConfig) -> Any:
    """The checkpoint's `InternVLConfig`.

    Its language model attends as `backbone.attention` says. Returned as Any: transformers declares
    its parts as dictionaries, which they are not.

    Raises:
        BackboneError: it is not an InternVL in transformers' own format, it is quantised, or it
            does not have the layers in `backbone.layer`.
    """
    document = _read_document(folder / "config.json", config.path)
    _check_kind(document, config.path)
    try:
        with quiet_transformers():
            found: Any = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, AttributeError, StrictDataclassError) as error:
        raise BackboneError(
            f"backbone.path={config.path}: no usable config.json ({one_line(error)})"
        ) from error
    if "image_token_id" not in document and "image_token_index" in document:
        found.image_token_id = document["image_token_index"]  # the name before transformers 4.52
    found._attn_implementation = None  # depends on the machine, not on the checkpoint
    if config.attention == "bidirectional":
        found.text_config.is_causal = False
    _check_layers(found, config)
    _check_tiles(found, config.path)
    return found


def token_grid(model_config: Any) -> tuple[int, int]:
    """Rows and columns of image tokens in one tile.

    They are its patches, after the pixel shuffle has merged neighbours.
    """
    vision, ratio = model_config.vision_config, model_config.downsample_ratio
    height, width = vision.image_size
    return int(height // vision.patch_size[0] * ratio), int(width // vision.patch_size[1] * ratio)


def _read_document(path: Path, name: str) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BackboneError(
            f"backbone.path={name}: no usable config.json ({one_line(error)})"
        ) from error
    if not isinstance(document, dict):
        raise BackboneError(f"backbone.path={name}: no usable config.json (not a JSON object)")
    return document


def _check_kind(document: dict[str, Any], name: str) -> None:
    """Refuse another kind of model, and quantised weights."""
    kind = document.get("model_type")
    if kind != "internvl":
        raise BackboneError(f"backbone.path={name}: is a model of type {kind}; {NEEDED}")
    parts = {"": document}
    for key in ("text_config", "vision_config"):
        part = document.get(key)
        if isinstance(part, dict):
            parts[f"{key}."] = part
    for prefix, part in parts.items():
        if part.get("quantization_config"):
            raise BackboneError(
                f"backbone.path={name}: config.json has {prefix}quantization_config; quantised "
                "weights are not supported: take the checkpoint in bfloat16"
            )
    language = parts.get("text_config.", {}).get("model_type", "qwen2")
    if language not in CONFIG_MAPPING:
        raise BackboneError(
            f"backbone.path={name}: its language model is of type {language}; {NEEDED}"
        )


def layer_numbers(model_config: Any, config: BackboneConfig) -> tuple[int, ...]:
    """The hidden states of `backbone.layer`, counted from 0; none for the projector."""
    if config.layer == "projector":
        return ()
    layers = config.layer if isinstance(config.layer, tuple) else (config.layer,)
    num_states = model_config.text_config.num_hidden_layers + 1
    return tuple(layer + num_states if layer < 0 else layer for layer in layers)


def _check_layers(model_config: Any, config: BackboneConfig) -> None:
    last = model_config.text_config.num_hidden_layers
    numbers = layer_numbers(model_config, config)
    shown = list(config.layer) if isinstance(config.layer, tuple) else config.layer
    if not all(0 <= number <= last for number in numbers):
        raise BackboneError(
            f"backbone.layer={shown}: the model has hidden states 0 to {last} "
            f"(or -1 to {-last - 1})"
        )
    if len(set(numbers)) < len(numbers):
        raise BackboneError(
            f"backbone.layer={shown}: names a layer twice, as hidden states {list(numbers)} of "
            f"0 to {last}; name each once"
        )


def _check_tiles(model_config: Any, name: str) -> None:
    """Refuse settings of the vision part for which `token_grid` would be wrong."""
    vision, layer = model_config.vision_config, model_config.vision_feature_layer
    layers = vision.num_hidden_layers
    usable = {
        "vision_feature_select_strategy": model_config.vision_feature_select_strategy == "default",
        "vision_feature_layer": isinstance(layer, int) and -layers - 1 <= layer <= layers,
        "downsample_ratio": model_config.downsample_ratio > 0,
        "vision_config.patch_size": min(vision.patch_size) > 0,
    }
    for key, is_usable in usable.items():
        if not is_usable:
            raise BackboneError(
                f"backbone.path={name}: no usable config.json ({key} is not one of an InternVL)"
            )
