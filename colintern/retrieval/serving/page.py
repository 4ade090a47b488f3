"""The page to search in a browser: one file, and a policy that lets it load nothing else."""

import base64
import functools
import hashlib
import re
from importlib import resources


@functools.cache
def page_html() -> str:
    """The page. It has no data in it: all that it shows it asks the API for."""
    return (
        resources.files("colintern.retrieval.serving")
        .joinpath("page.html")
        .read_text(encoding="utf-8")
    )


@functools.cache
def content_security_policy() -> str:
    """What a browser may do for an answer: run the page's own script, and ask this server."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hash_of('script')}",
            f"style-src {_hash_of('style')}",
            "img-src 'self' blob: data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ]
    )


def _hash_of(tag: str) -> str:
    """Of what stands in the one element of the page with this tag, as the policy names it."""
    (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page_html(), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
