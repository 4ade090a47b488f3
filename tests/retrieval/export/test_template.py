"""The chat template: what is embedded as what, and what is refused."""

import jinja2
import pytest
from transformers import AutoTokenizer

from colintern.model.checkpoint import find_checkpoint
from colintern.retrieval.export.template import chat_template

TEXT, IMAGE = {"type": "text", "text": "a text"}, {"type": "image"}


@pytest.fixture(scope="module")
def render(run):
    """What a template makes of an input."""
    tokenizer = AutoTokenizer.from_pretrained(find_checkpoint(run.config.backbone))

    def rendered(side, *parts, prompt="", page_prompt="see <image>!", **task) -> str:
        template = chat_template(page_prompt, "<pad>", 2, side)
        system = [{"role": "system", "content": prompt}] if prompt else []
        conversation = [*system, {"role": "user", "content": list(parts)}]
        return tokenizer.apply_chat_template(
            conversation, chat_template=template, tokenize=False, **task
        )

    return rendered


@pytest.mark.parametrize("side", [None, "query"])
def test_a_query_is_prefix_text_and_padding(render, side):
    """A prefix in a line of its own, a text that is trimmed, augmentation left out."""
    assert render(side, TEXT, prompt="Q: ", task="query") == "Q: a text<pad><pad>"
    assert render(side, {**TEXT, "text": " two  \n"}, task="query") == " two  \n<pad><pad>"


@pytest.mark.parametrize("side", [None, "page"])
@pytest.mark.parametrize("task", [{}, {"task": "document"}])
def test_a_page_is_its_prompt_around_the_image(render, side, task):
    """A page's own text beside its image, which no page of ours has."""
    assert render(side, TEXT, IMAGE, **task) == "see <IMG_CONTEXT>!"


def test_a_prompt_may_hold_any_character(render):
    """Halves of a character, which no tokenizer takes; a quote that ends the prompt."""
    odd = "\U0001f600 \U00020000 é \u2028 \" ' \\n \t {{ x }} %} {# <image>"
    assert render("page", IMAGE, page_prompt=odd) == odd.replace("<image>", "<IMG_CONTEXT>")


def test_a_server_that_tells_no_task_can_embed_queries(render):
    """vLLM, which renders the template without a task."""
    assert render("query", TEXT) == "a text<pad><pad>"


@pytest.mark.parametrize(
    ("side", "part", "task", "said"),
    [
        (None, TEXT, {}, "encode_query"),
        (None, TEXT, {"task": "document"}, "documents are page images"),
        (None, IMAGE, {"task": "query"}, "queries are texts"),
        ("query", TEXT, {"task": "document"}, "embeds queries only"),
        ("query", IMAGE, {}, "embeds queries only"),
        ("page", TEXT, {"task": "query"}, "embeds pages only"),
        ("page", TEXT, {}, "embeds pages only"),
        ("page", IMAGE, {"task": "query"}, "embeds pages only"),
    ],
)
def test_what_has_no_vectors_gets_none(render, side, part, task, said):
    """Vectors of the wrong heads, without a word: texts by those of pages, and the reverse."""
    with pytest.raises(jinja2.exceptions.TemplateError, match=said):
        render(side, part, **task)
