"""Bounds of what a client may ask, and who may ask: checked before any work."""

import importlib.util
import re
from collections.abc import Mapping

from colintern.errors import UserError
from colintern.retrieval.serving.address import is_loopback

MAX_K = 100  # pages of a search
MAX_QUERIES = 32  # of one call of /embed
# Of a query. A dataset's may be longer, but 8,192 Chinese characters take the model a minute, in
# which nobody else is answered, and the address of their heat map is longer than HTTP servers read.
MAX_CHARACTERS = 2_048
MAX_BODY_BYTES = 1 << 20  # more than so many of the longest queries, however JSON writes them
MAX_ID_CHARACTERS = 1_024
MAX_PIXELS_WIDE = 2_000  # of a page that is made smaller

TOKEN_VARIABLE = "COLINTERN_TOKEN"
_MIN_TOKEN_CHARACTERS = 16  # of a secret that a stranger may guess at
_TOKEN = re.compile(r"[\x21-\x7e]+")  # what a header can carry


def check_installed() -> None:
    """Make sure that what only a server needs is there.

    Raises:
        UserError: it is not.
    """
    if importlib.util.find_spec("fastapi") is None:
        raise UserError("serve: the package fastapi is needed; pip install 'colintern[serve]'")


def token_for(host: str, environment: Mapping[str, str]) -> str | None:
    """The token that clients have to show; None on loopback without one.

    Args:
        host: where the server will listen.
        environment: has the token as `COLINTERN_TOKEN`, if there is one.

    Raises:
        UserError: other machines could ask without a token, or it is no good one.
    """
    token = environment.get(TOKEN_VARIABLE)
    if not token:
        if is_loopback(host):
            return None
        raise UserError(
            f"--host {host}: other machines could read every page; set {TOKEN_VARIABLE} to a "
            "secret that clients send as `Authorization: Bearer`, or use --host 127.0.0.1"
        )
    if not _TOKEN.fullmatch(token) or len(token) < _MIN_TOKEN_CHARACTERS:
        raise UserError(
            f"{TOKEN_VARIABLE}: must have at least {_MIN_TOKEN_CHARACTERS} characters, printable "
            "ASCII without spaces; `openssl rand -hex 24` makes one"
        )
    return token
