"""Who may ask a server, and from where."""

import pytest

from colintern.errors import UserError
from colintern.retrieval.serving import limits
from colintern.retrieval.serving.address import is_loopback
from colintern.retrieval.serving.limits import check_installed, token_for

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost", "LOCALHOST"]
)
def test_this_machine_alone_needs_no_token(host):
    """A token for somebody who only tries the server at home."""
    assert is_loopback(host)
    assert token_for(host, {}) is None
    assert token_for(host, {"COLINTERN_TOKEN": TOKEN}) == TOKEN


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.2", "localhost.example", "", "127.1.x"]
)
def test_other_machines_need_one(host):
    """Every page of a company, open to its whole network by one option."""
    assert not is_loopback(host)
    with pytest.raises(
        UserError, match="other machines could read every page; set COLINTERN_TOKEN"
    ):
        token_for(host, {"COLINTERN_TOKEN": ""})
    assert token_for(host, {"COLINTERN_TOKEN": TOKEN}) == TOKEN


@pytest.mark.parametrize("token", ["short", "sixteen letters are", "sixteen-lettérs-at-least"])
def test_a_token_that_is_none(token):
    """A secret that is guessed in a day, or one that no header can carry: nobody is let in."""
    with pytest.raises(UserError, match="at least 16 characters"):
        token_for("127.0.0.1", {"COLINTERN_TOKEN": token})


def test_a_missing_extra_is_named(monkeypatch):
    """A traceback of an import in place of the package to install."""
    check_installed()
    monkeypatch.setattr(limits.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install 'colintern\[serve\]'"):
        check_installed()
