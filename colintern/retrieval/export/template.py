"""The chat template of an exported folder: the text that a page or a query becomes.

sentence-transformers gives each input as a conversation: the prompt as the system's message, the
text or image as the user's; and `task`, "query" or "document", where it was said. Prefix and text
become one string, as the tokenizer may join the end of the one and the start of the other.
"""

import json
from typing import Literal

from colintern.model.processor import CONTEXT, IMAGE_SLOT

Side = Literal["query", "page"]

# Without a task, a folder of both sides would put a text through the heads of pages.
_TEMPLATE = """\
{%- set input = namespace(text="", has_image=false) -%}
{%- for message in messages -%}
  {%- if message.content is string -%}
    {%- set input.text = input.text + message.content -%}
  {%- else -%}
    {%- for part in message.content -%}
      {%- if part.type == "image" -%}
        {%- set input.has_image = true -%}
      {%- elif part.type == "text" -%}
        {%- set input.text = input.text + part.text -%}
      {%- endif -%}
    {%- endfor -%}
  {%- endif -%}
{%- endfor -%}
{%- if input.has_image and takes_pages and task != "query" -%}
  {{- before + image + after -}}
{%- elif not input.has_image and takes_queries
    and (task == "query" or (task is not defined and not takes_pages)) -%}
  {{- input.text + augmentation -}}
{%- else -%}
  {{- raise_exception(hint) -}}
{%- endif -%}
"""
_HINTS = {
    None: "queries are texts, for encode_query; documents are page images, for encode_document",
    "query": "this folder embeds queries only: texts, for encode_query",
    "page": "this folder embeds pages only: images, for encode_document",
}


def chat_template(page_prompt: str, padding: str, num_padding: int, side: Side | None) -> str:
    """The template.

    Args:
        page_prompt: with or without the place of the image in it, as `backbone.page_prompt`.
        padding: the padding token.
        num_padding: how many of them follow a query.
        side: what the folder embeds; None for both.
    """
    before, _, after = page_prompt.partition(IMAGE_SLOT)
    values = {
        "before": before,
        "image": CONTEXT,
        "after": after,
        "augmentation": padding * num_padding,
        "takes_pages": side != "query",
        "takes_queries": side != "page",
        "hint": _HINTS[side],
    }
    # JSON's strings and booleans are Jinja's, too; but not its pairs of escapes for one character.
    lines = [
        f"{{%- set {name} = {json.dumps(value, ensure_ascii=False)} -%}}\n"
        for name, value in values.items()
    ]
    return "".join(lines) + _TEMPLATE
