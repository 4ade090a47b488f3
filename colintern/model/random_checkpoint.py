"""A tiny InternVL with seeded random weights, written as an ordinary checkpoint folder.

It replaces a trained backbone in tests, and when a cluster is tried out. It has all parts of a real
one (tiles, thumbnail, pixel shuffle, projector, Qwen2), but it cannot read.
"""

import os
import shutil
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    InternVLConfig,
    InternVLModel,
    InternVLVisionConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
)
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from colintern.model.quiet import quiet_transformers
from colintern.storage import local_files

TILE = 224
_IMAGENET_MEAN = [0.485, 0.456, 0.406]
_IMAGENET_STD = [0.229, 0.224, 0.225]
_SPECIAL_TOKENS = ["<|endoftext|>", "<img>", "</img>", "<IMG_CONTEXT>"]
_VERSION = 1  # part of the folder's name: increase it when the files change


def random_checkpoint(seed: int = 0) -> Path:
    """The folder of the checkpoint in the user's cache; created on first use."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "colintern" / f"random-backbone-v{_VERSION}-seed{seed}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        local_files.remove_abandoned(folder.parent, deep=False)
        fresh = folder.with_name(local_files.temporary_name(folder.name))
        write_random_checkpoint(fresh, seed)
        try:
            fresh.rename(folder)
        except OSError:  # another process was faster and wrote the same files
            shutil.rmtree(fresh)
    return folder


def write_random_checkpoint(folder: Path, seed: int = 0) -> None:
    """Write configuration, weights, tokenizer and image processor into `folder`.

    Sizes: tiles of 224 pixels, patches of 14, 64 tokens a tile; vision 128 wide and 3 layers, text
    160 wide and 2 layers; a tokenizer of single bytes.
    """
    tokenizer = _byte_tokenizer()
    config = InternVLConfig(
        vision_config=InternVLVisionConfig(
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=3,
            num_attention_heads=4,
            attention_bias=True,
            image_size=[TILE, TILE],
            patch_size=[14, 14],
            layer_scale_init_value=0.5,
        ),
        text_config=Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=160,
            intermediate_size=400,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            tie_word_embeddings=True,
        ),
        image_token_id=tokenizer.get_vocab()["<IMG_CONTEXT>"],
        image_seq_length=64,
        downsample_ratio=0.5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = InternVLModel(config)
        # transformers starts with position embeddings of zero: the model would ignore positions
        torch.nn.init.normal_(model.vision_tower.embeddings.position_embeddings, std=0.2)
    with quiet_transformers():
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    GotOcr2ImageProcessorPil(
        size={"height": TILE, "width": TILE},
        image_mean=_IMAGENET_MEAN,
        image_std=_IMAGENET_STD,
        crop_to_patches=True,
    ).save_pretrained(folder)


def _byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token for each byte, then the special tokens of InternVL."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({byte: number for number, byte in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(_SPECIAL_TOKENS)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        extra_special_tokens={
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
        },
    )
