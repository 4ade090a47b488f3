"""The tokenizer: byte-level BPE over lower-cased words, with InternVL's special tokens."""

from collections.abc import Callable, Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

Piece = tuple[int, float]  # a token, and the position of its middle, in characters of the word
SPECIAL_TOKENS = ("<|endoftext|>", "<img>", "</img>", "<IMG_CONTEXT>")


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Train the tokenizer.

    A word has the same tokens after a space, after a bracket and at the edge of the page: a printed
    page has no space characters.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Whitespace(),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
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


def kept_tokenizer(
    path: Path, make: Callable[[], PreTrainedTokenizerFast]
) -> PreTrainedTokenizerFast:
    """The tokenizer in a folder, which is made when it is asked for the first time."""
    if not path.exists():
        fresh = path.with_name(f"{path.name}.fresh")
        make().save_pretrained(fresh)
        fresh.rename(path)
    return PreTrainedTokenizerFast.from_pretrained(path, trust_remote_code=False)


class WordTokens:
    """The tokens of words; remembers those that it has met.

    Args:
        tokenizer: of the model.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, tuple[Piece, ...]] = {}

    def __call__(self, word: str) -> tuple[Piece, ...]:
        """The tokens of a word, each with its middle."""
        if word not in self._known:
            encoded = self._tokenizer(
                word,
                add_special_tokens=False,
                split_special_tokens=True,
                return_offsets_mapping=True,
            )
            self._known[word] = tuple(
                (token, (start + end) / 2)
                for token, (start, end) in zip(
                    encoded["input_ids"], encoded["offset_mapping"], strict=True
                )
            )
        return self._known[word]
