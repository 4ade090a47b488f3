"""Prompts that an exported folder would read in another way than the run did."""

from dataclasses import replace

import pytest

from colintern.errors import ExportError
from colintern.model.checkpoint import find_checkpoint
from colintern.model.internvl_config import read_internvl_config, token_grid
from colintern.model.processor import Processor
from colintern.retrieval.export.checkpoint import checkpoint_files
from colintern.retrieval.export.export import export_files
from colintern.retrieval.export.same_tokens import ExportedTokens, check_tokens


def _with(run, **settings):
    backbone = run.config.backbone.model_copy(update=settings)
    return replace(run, config=run.config.model_copy(update={"backbone": backbone}))


def test_a_page_prompt_with_a_control_token_is_refused(run):
    """A prompt that the run read as characters, and the folder as an order."""
    changed = _with(run, page_prompt="<|endoftext|> read")
    with pytest.raises(ExportError, match=r"backbone\.page_prompt='<\|endoftext\|> read': .*"):
        export_files(changed, run.heads, None)
    assert export_files(changed, run.heads, "query")


def test_a_tokenizer_that_adds_a_token_is_found_out(run):
    """A beginning-of-text token before every query and page of the folder, and none of the run."""
    config = run.config.backbone
    folder = find_checkpoint(config)
    model_config = read_internvl_config(folder, config)
    files = checkpoint_files(folder, config, model_config, None)
    check_tokens(files, folder, config, model_config, None)
    template = files["chat_template.jinja"]
    assert isinstance(template, bytes)
    files["chat_template.jinja"] = template.replace(b"{{- input.text", b'{{- "x" + input.text')
    with pytest.raises(ExportError, match=r"backbone\.query_prefix='Query: '"):
        check_tokens(files, folder, config, model_config, None)


def test_control_tokens_in_a_query_are_plain_text(run):
    """A question that forges the tokens of an image, or ends the text early."""
    config = run.config.backbone
    folder = find_checkpoint(config)
    model_config = read_internvl_config(folder, config)
    theirs = ExportedTokens(checkpoint_files(folder, config, model_config, None), "Query: ")
    ours = Processor(folder, config, token_grid(model_config))
    for text in ("see <img> here", "<|endoftext|>the end"):
        assert theirs.query_tokens(text) == ours.query_tokens(text)
