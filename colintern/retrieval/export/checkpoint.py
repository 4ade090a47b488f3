"""The backbone's own files in an exported folder: copied, or with the few changes they need.

Weights and vocabulary are the checkpoint's, byte for byte. Its configuration says how the run had
it attend; its image processor, how many tiles a page may have.
"""

import json
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from colintern.config.schema import BackboneConfig
from colintern.model.checkpoint import weight_files
from colintern.model.internvl_config import token_grid
from colintern.model.processor import CONTEXT, END, START
from colintern.model.quiet import quiet_transformers
from colintern.retrieval.export.content import Content, document
from colintern.retrieval.export.template import Side, chat_template

_VOCABULARY = (
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "*.model",
    "*.tiktoken",
)
_TOKENIZER = "tokenizer_config.json"
# Code that comes with a checkpoint is neither run nor handed on.
_CODE = "auto_map"


def checkpoint_files(
    folder: Path, config: BackboneConfig, model_config: Any, side: Side | None
) -> dict[str, Content]:
    """Everything that transformers loads.

    Args:
        folder: of the checkpoint.
        config: how the run used it.
        model_config: its `InternVLConfig`.
        side: what the folder embeds; None for both.
    """
    rows, columns = token_grid(model_config)
    with quiet_transformers():
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        images = GotOcr2ImageProcessorPil.from_pretrained(folder, trust_remote_code=False)
    padding = tokenizer.pad_token or tokenizer.eos_token
    template = chat_template(config.page_prompt, padding, config.query_augmentation_tokens, side)
    return {
        **_weights(folder, config.path),
        "config.json": document(_model_document(folder, config, model_config)),
        **{file.name: file for pattern in _VOCABULARY for file in sorted(folder.glob(pattern))},
        _TOKENIZER: document(_tokenizer_document(folder, tokenizer, padding)),
        "preprocessor_config.json": document(_image_document(images, config.max_tiles)),
        "processor_config.json": document(
            {"processor_class": "InternVLProcessor", "image_seq_length": rows * columns}
        ),
        "chat_template.jinja": template.encode(),
    }


def _weights(folder: Path, name: str) -> dict[str, Content]:
    files: dict[str, Content] = {file.name: file for file in weight_files(folder, name)}
    index = folder / "model.safetensors.index.json"
    return files if "model.safetensors" in files else {index.name: index, **files}


def _model_document(folder: Path, config: BackboneConfig, model_config: Any) -> dict[str, Any]:
    found = _read(folder / "config.json")
    found.pop(_CODE, None)
    found["image_token_id"] = model_config.image_token_id  # older files have another name for it
    if config.attention == "bidirectional":
        found["text_config"] = {**found.get("text_config", {}), "is_causal": False}
    return found


def _tokenizer_document(folder: Path, tokenizer: Any, padding: str) -> dict[str, Any]:
    """The tokenizer's settings, with the names by which `InternVLProcessor` finds its tokens."""
    found = _read(folder / _TOKENIZER) if (folder / _TOKENIZER).exists() else {}
    for key in (_CODE, "chat_template"):
        found.pop(key, None)
    names = {
        "start_image_token": START,
        "end_image_token": END,
        "context_image_token": CONTEXT,
        # No page is a video. A token that the vocabulary has not would get an id beyond the model.
        "video_token": END,
    }
    missing = {name: token for name, token in names.items() if not hasattr(tokenizer, name)}
    return {**found, **missing, "pad_token": padding, "padding_side": "right"}


def _image_document(images: Any, max_tiles: int) -> dict[str, Any]:
    return {
        **images.to_dict(),
        "image_processor_type": "GotOcr2ImageProcessor",
        "processor_class": "InternVLProcessor",
        "crop_to_patches": True,
        "min_patches": 1,
        "max_patches": max_tiles,
    }


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())
