"""The page to search in a browser: one answer, and a policy that lets it load nothing else."""

import base64
import functools
import hashlib
from importlib.resources import files


@functools.cache
def page_html() -> str:
    """The page. It has no data in it: all that it shows it asks the API for."""
    page = _static("page.html").replace("<style></style>", f"<style>{_static('page.css')}</style>")
    return page.replace("<script></script>", f"<script>{_static('page.js')}</script>")


@functools.cache
def content_security_policy() -> str:
    """What a browser may do for an answer: run the page's own script, and ask this server."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hash_of('page.js')}",
            f"style-src {_hash_of('page.css')}",
            "img-src 'self' blob: data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ]
    )


def _static(name: str) -> str:
    return (files("colintern.retrieval.serving") / "static" / name).read_text(encoding="utf-8")


def _hash_of(name: str) -> str:
    """Of one file, as the policy names what stands in an element of the page."""
    digest = base64.b64encode(hashlib.sha256(_static(name).encode()).digest()).decode()
    return f"'sha256-{digest}'"
