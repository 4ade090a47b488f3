"""Where a server listens."""

import socket

import pytest

from colintern.errors import UserError
from colintern.retrieval.serving.address import check_is_free


def test_an_address_where_nobody_can_listen():
    """Ray's trace about a port after a minute of start-up, or a free port that is refused."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"--host 127.0.0.1 --port {port}: cannot listen there"):
            check_is_free("127.0.0.1", port)
    check_is_free("127.0.0.1", port)
    with pytest.raises(UserError, match="cannot listen there"):
        check_is_free("192.0.2.1", 8_000)
