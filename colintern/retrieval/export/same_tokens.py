"""Makes sure that an exported folder gives its model the token ids that the run gave it.

Tokenizers differ in what they join, add and obey. So the files that are about to be written are
asked, as sentence-transformers would ask them.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from colintern.config.schema import BackboneConfig
from colintern.errors import ExportError
from colintern.model.internvl_config import token_grid
from colintern.model.processor import CONTEXT, END, START, Processor
from colintern.model.quiet import quiet_transformers
from colintern.retrieval.export.content import Content
from colintern.retrieval.export.template import Side

_QUERIES = ("what is the total?", " the", "Ünïcode — 页码 \u0301e", "a\nb", "2024")
_NUM_TOKENS = 3  # of a page's image: any number


def check_tokens(
    files: Mapping[str, Content],
    folder: Path,
    config: BackboneConfig,
    model_config: Any,
    side: Side | None,
) -> None:
    """Compare the token ids of some queries, and of a page.

    Args:
        files: of `checkpoint_files`.
        folder: of the checkpoint.
        config: how the run used it.
        model_config: its `InternVLConfig`.
        side: what the folder embeds; None for both.

    Raises:
        ExportError: they are not those of the run.
    """
    ours = Processor(folder, config, token_grid(model_config))
    theirs = ExportedTokens(files, config.query_prefix)
    if side != "page" and any(
        theirs.query_tokens(text) != ours.query_tokens(text) for text in _QUERIES
    ):
        raise _different("query_prefix", config.query_prefix)
    if side != "query" and theirs.page_tokens(_NUM_TOKENS) != ours.page_tokens(_NUM_TOKENS):
        raise _different("page_prompt", config.page_prompt)


def _different(key: str, prompt: str) -> ExportError:
    return ExportError(
        f"backbone.{key}={prompt!r}: cannot be exported, as sentence-transformers would give the "
        "model other tokens; make a run with a prompt without control tokens of the tokenizer"
    )


class ExportedTokens:
    """The tokenizer and chat template of a folder that is not written yet.

    Args:
        files: of `checkpoint_files`.
        query_prefix: the prompt of queries.
    """

    def __init__(self, files: Mapping[str, Content], query_prefix: str) -> None:
        self._prefix = query_prefix
        with tempfile.TemporaryDirectory() as place:
            for name, content in files.items():
                if not name.endswith(".safetensors"):
                    data = content if isinstance(content, bytes) else content.read_bytes()
                    (Path(place) / name).write_bytes(data)
            with quiet_transformers():
                self._tokenizer: Any = AutoTokenizer.from_pretrained(place, trust_remote_code=False)

    def query_tokens(self, text: str) -> list[int]:
        """The token ids of a query; control tokens in it are plain text."""
        system = {"role": "system", "content": [{"type": "text", "text": self._prefix}]}
        user = {"role": "user", "content": [{"type": "text", "text": text}]}
        conversation = [system, user] if self._prefix else [user]
        return self._tokenizer.apply_chat_template(
            conversation,
            tokenize=True,
            return_dict=False,
            task="query",
            sanitize_control_tokens=True,
        )

    def page_tokens(self, num_image_tokens: int) -> list[int]:
        """The token ids of a page, as `InternVLProcessor` writes out its image."""
        conversation = [{"role": "user", "content": [{"type": "image"}]}]
        text = self._tokenizer.apply_chat_template(conversation, tokenize=False)
        image = f"{START}{CONTEXT * num_image_tokens}{END}"
        return self._tokenizer(text.replace(CONTEXT, image), add_special_tokens=False)["input_ids"]
