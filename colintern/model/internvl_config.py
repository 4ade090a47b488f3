"""What a checkpoint's config.json says of its InternVL, read as data: no code of it is ever run."""

import json
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import CONFIG_MAPPING, AutoConfig

from colintern.config.schema import BackboneConfig
from colintern.errors import BackboneError, one_line
from colintern.model.quiet import quiet_transformers

NEEDED = (
    "ColIntern needs InternVL in transformers' own format (the -hf checkpoints): code that comes "
    "with a checkpoint is never run"
)


def read_internvl_config(folder: Path, config: BackboneConfig) -> Any:
    """The checkpoint's `InternVLConfig`; its parts are typed as dictionaries, so it is Any.

    Raises:
        BackboneError: it is no InternVL of transformers' own format, is quantised, or lacks the
            layer that `backbone.layer` asks for.
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
        found.image_token_id = document["image_token_index"]  # its name before transformers 4.52
    found._attn_implementation = None  # a matter of each machine, not of the checkpoint
    _check_layer(found, config)
    _check_tiles(found, config.path)
    return found


def tokens_per_tile(model_config: Any) -> int:
    """Image tokens of a tile: its patches, after the pixel shuffle has put some into one."""
    vision = model_config.vision_config
    patches = [
        size // patch for size, patch in zip(vision.image_size, vision.patch_size, strict=True)
    ]
    return int(patches[0] * patches[1] * model_config.downsample_ratio**2)


def _read_document(path: Path, name: str) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BackboneError(
            f"backbone.path={name}: no usable config.json ({one_line(error)})"
        ) from error
    if not isinstance(document, dict):
        raise BackboneError(f"backbone.path={name}: no usable config.json (it is no JSON object)")
    return document


def _check_kind(document: dict[str, Any], name: str) -> None:
    """Refuse what transformers would need other code for, or would load as something else."""
    kind = document.get("model_type")
    if kind != "internvl":
        raise BackboneError(f"backbone.path={name}: is a checkpoint of type {kind}; {NEEDED}")
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
            f"backbone.path={name}: has a language model of type {language}; {NEEDED}"
        )


def _check_layer(model_config: Any, config: BackboneConfig) -> None:
    layers = model_config.text_config.num_hidden_layers
    if config.layer != "projector" and not -layers - 1 <= config.layer <= layers:
        raise BackboneError(
            f"backbone.layer={config.layer}: the model has hidden states 0 to {layers} "
            f"(or -1 to {-layers - 1})"
        )


def _check_tiles(model_config: Any, name: str) -> None:
    """Refuse ways of making image tokens that `tokens_per_tile` does not count."""
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
                f"backbone.path={name}: no usable config.json ({key} is none of an InternVL)"
            )
