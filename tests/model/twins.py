"""Small twins of the published InternVL checkpoints: every file and field, few and random weights.

Sizes are small; what is of the families' own kind is as published: the language model, the vision
tower's norm, the names of the weights, how they are divided into files, the vocabulary with its
special tokens, the files beside the weights. The configurations are those of the -hf checkpoints.
"""

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import InternVLConfig, InternVLForConditionalGeneration

from colintern.model.quiet import quiet_transformers
from tests.model.vocabularies import ALL_PAIRS, QWEN2_5, QWEN3, write_internlm, write_qwen

CHAT_TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n'}}"
    "{% for content in message['content'] %}{% if content['type'] == 'image' %}"
    "{{ '<IMG_CONTEXT>\\n' }}{% elif content['type'] == 'text' %}{{ content['text'] }}{% endif %}"
    "{% endfor %}{{'<|im_end|>\\n'}}{% endfor %}"
)
IMAGE_PROCESSOR = {
    "crop_size": None,
    "crop_to_patches": False,
    "data_format": "channels_first",
    "default_to_square": True,
    "device": None,
    "do_center_crop": None,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_processor_type": "GotOcr2ImageProcessorFast",
    "image_std": [0.229, 0.224, 0.225],
    "input_data_format": None,
    "max_patches": 12,
    "min_patches": 1,
    "processor_class": "InternVLProcessor",
    "resample": 3,
    "rescale_factor": 1 / 255,
    "return_tensors": None,
    "size": {"height": 448, "width": 448},
}
VISION = {
    "architectures": ["InternVisionModel"],
    "attention_bias": True,
    "attention_dropout": 0.0,
    "dropout": 0.0,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0,
    "hidden_size": 32,
    "image_size": [448, 448],
    "initializer_factor": 0.1,
    "initializer_range": 1e-10,
    "intermediate_size": 64,
    "layer_norm_eps": 1e-06,
    "layer_scale_init_value": 0.1,
    "model_type": "internvl_vision",
    "norm_type": "layer_norm",
    "num_attention_heads": 2,
    "num_channels": 3,
    "num_hidden_layers": 2,
    "patch_size": [14, 14],
    "projection_dropout": 0.0,
    "torch_dtype": "bfloat16",
    "use_absolute_position_embeddings": True,
    "use_mask_token": False,
    "use_mean_pooling": True,
    "use_qk_norm": False,
}
_VISION_6B = VISION | {
    "attention_bias": False,
    "hidden_size": 40,
    "norm_type": "rms_norm",
    "num_attention_heads": 5,
    "use_qk_norm": True,
}
_TEXT = {
    "attention_dropout": 0.0,
    "hidden_act": "silu",
    "hidden_size": 28,
    "initializer_range": 0.02,
    "intermediate_size": 48,
    "max_position_embeddings": 32768,
    "num_attention_heads": 7,
    "num_hidden_layers": 2,
    "num_key_value_heads": 1,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "torch_dtype": "bfloat16",
    "use_cache": True,
}
_DYNAMIC_ROPE = {"factor": 2.0, "rope_type": "dynamic", "type": "dynamic"}
QWEN2_TEXT = _TEXT | {
    "architectures": ["Qwen2ForCausalLM"],
    "bos_token_id": 151643,
    "eos_token_id": 151645,
    "max_window_layers": 70,
    "model_type": "qwen2",
    "rope_scaling": _DYNAMIC_ROPE,
    "sliding_window": None,
    "use_sliding_window": False,
    "vocab_size": 151674,
}
LLAMA_TEXT = _TEXT | {
    "architectures": ["InternLM2ForCausalLM"],
    "attention_bias": False,
    "attn_implementation": "eager",
    "bos_token_id": 1,
    "eos_token_id": 2,
    "head_dim": 4,
    "mlp_bias": False,
    "model_type": "llama",
    "pad_token_id": 2,
    "pretraining_tp": 1,
    "rope_scaling": _DYNAMIC_ROPE,
    "vocab_size": 92553,
}
QWEN3_TEXT = _TEXT | {
    "architectures": ["Qwen3ForCausalLM"],
    "attention_bias": False,
    "bos_token_id": 151643,
    "debug": False,
    "eos_token_id": 151645,
    "ep_size": 1,
    "head_dim": 8,
    "max_window_layers": 28,
    "micro_forward": False,
    "model_type": "qwen3",
    "rope_scaling": None,
    "skip_checkpoint": False,
    "sliding_window": None,
    "use_deepep": False,
    "use_sliding_window": False,
    "vocab_size": 151936,
}
QWEN3_MOE_TEXT = QWEN3_TEXT | {
    "architectures": ["Qwen3MoeForCausalLM"],
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "model_type": "qwen3_moe",
    "moe_intermediate_size": 24,
    "norm_topk_prob": True,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "output_router_logits": False,
    "router_aux_loss_coef": 0.001,
}


@dataclass(frozen=True)
class Twin:
    """What tells one published family from another.

    Args:
        text: the language model's configuration.
        vision: the vision tower's.
        tied: the language head is the embedding, and not among the weights.
        keys: names of the weights as transformers 4.52 wrote them, or as 5 has them.
        sharded: the weights are in several files with an index.
        image_processor: the file that says how pages are tiled.
        num_pairs: byte pairs of a Qwen vocabulary, its first ones; tokenizers load much faster with
            few, but special tokens then have other ids than the published ones.
    """

    text: dict[str, Any]
    vision: dict[str, Any]
    tied: bool = False
    keys: str = "4.52"
    sharded: bool = False
    image_processor: str = "preprocessor_config.json"
    num_pairs: int = 2_000


TWINS = {
    "InternVL2_5-2B": Twin(LLAMA_TEXT, VISION),
    "InternVL2_5-26B": Twin(LLAMA_TEXT, _VISION_6B, sharded=True),
    "InternVL3-1B": Twin(QWEN2_TEXT, VISION, num_pairs=ALL_PAIRS),
    "InternVL3-9B": Twin(LLAMA_TEXT, VISION, keys="5", sharded=True),
    "InternVL3-38B": Twin(QWEN2_TEXT, _VISION_6B, sharded=True),
    "InternVL3_5-1B": Twin(QWEN3_TEXT, VISION, tied=True),
    "InternVL3_5-2B": Twin(QWEN3_TEXT, VISION, keys="5", image_processor="processor_config.json"),
    "InternVL3_5-8B": Twin(QWEN3_TEXT, VISION, num_pairs=ALL_PAIRS),
    "InternVL3_5-30B-A3B": Twin(QWEN3_MOE_TEXT, VISION, sharded=True),
    "InternVL3_5-38B": Twin(QWEN3_TEXT, _VISION_6B, keys="5", sharded=True, tied=True),
    "InternVL3_5-241B-A28B": Twin(QWEN3_MOE_TEXT, _VISION_6B, keys="5"),
}
# One twin of each language model.
LANGUAGE_MODELS = {
    "qwen2": "InternVL3-38B",
    "qwen3": "InternVL3_5-1B",
    "qwen3_moe": "InternVL3_5-30B-A3B",
    "llama": "InternVL2_5-2B",
}


def config_document(
    text: dict[str, Any], vision: dict[str, Any], tied: bool, image_token_id: int
) -> dict[str, Any]:
    """The config.json of a published checkpoint."""
    return {
        "architectures": ["InternVLForConditionalGeneration"],
        "downsample_ratio": 0.5,
        "image_seq_length": 256,
        "image_token_id": image_token_id,
        "model_type": "internvl",
        "projector_hidden_act": "gelu",
        "text_config": text | {"tie_word_embeddings": tied},
        "tie_word_embeddings": tied,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.52.0.dev0",
        "vision_config": vision,
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "default",
    }


def write_twin(folder: Path, twin: Twin) -> InternVLForConditionalGeneration:
    """Write a checkpoint folder; returns the model in it, in float32, which was never loaded."""
    kind, rows = twin.text["model_type"], twin.text["vocab_size"]
    if kind == "llama":
        ids = write_internlm(folder)
    else:
        ids = write_qwen(folder, QWEN2_5 if kind == "qwen2" else QWEN3, twin.num_pairs)
        rows -= ALL_PAIRS - twin.num_pairs
    text = twin.text | {"vocab_size": rows}
    document = config_document(text, twin.vision, twin.tied, ids["<IMG_CONTEXT>"])
    model = _random_model(InternVLConfig.from_dict(document))
    _save_weights(folder, model, twin)
    for name, value in _documents(twin, document).items():
        content = value if isinstance(value, str) else json.dumps(value, indent=2)
        (folder / name).write_text(content)
    return model.eval()


def _random_model(config: InternVLConfig) -> InternVLForConditionalGeneration:
    """Weights whose every part tells in the features, in numbers that bfloat16 holds exactly.

    What transformers begins with would not: zeros for positions, all but zeros for the tower.
    """
    model = InternVLForConditionalGeneration(config).float()
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=draw)
            one_row = parameter.dim() == 1
            value = parameter + 0.1 * noise if one_row else noise / parameter.shape[-1] ** 0.5
            parameter.copy_(value.bfloat16())
    return model


def _save_weights(folder: Path, model: InternVLForConditionalGeneration, twin: Twin) -> None:
    """As bfloat16; of a copy, since a model's own buffers would be rounded with its weights."""
    published = copy.deepcopy(model).bfloat16()
    size = sum(parameter.nbytes for parameter in published.parameters())
    with quiet_transformers():
        published.save_pretrained(
            folder,
            max_shard_size=size // 2 if twin.sharded else size,
            save_original_format=twin.keys == "4.52",
        )


def _documents(twin: Twin, config: dict[str, Any]) -> dict[str, Any]:
    """The files beside weights and tokenizer, by name; they replace what transformers 5 wrote."""
    documents = {
        "config.json": config,
        "generation_config.json": {
            "_from_model_config": True,
            "eos_token_id": config["text_config"]["eos_token_id"],
            "transformers_version": "4.52.0.dev0",
        },
        "processor_config.json": {"image_seq_length": 256, "processor_class": "InternVLProcessor"},
        "video_preprocessor_config.json": IMAGE_PROCESSOR
        | {"video_processor_type": "InternVLVideoProcessor", "size": {"height": 384, "width": 384}},
        "chat_template.jinja": CHAT_TEMPLATE,
        "README.md": "# A twin\n",
        ".gitattributes": "*.safetensors filter=lfs\n",
    }
    if twin.image_processor == "processor_config.json":
        documents["processor_config.json"]["image_processor"] = IMAGE_PROCESSOR
    else:
        documents[twin.image_processor] = IMAGE_PROCESSOR
    return documents
