"""Whether Ray answers at an address, told in seconds; Ray itself tries for many minutes.

Ray's servers speak gRPC, and so HTTP/2, whose servers send their settings to whoever connects.
"""

import os
import socket
import time

from colintern.runtime.errors import ClusterError

_PROBE_SECONDS = 15.0  # for all of it
_CLIENT = "ray://"
_CLIENT_PORT = 10001
_SETTINGS_FRAME = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"  # HTTP/2: an empty one, RFC 9113 6.5
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS_FRAME
_TYPE, _HEADER_BYTES, _SETTINGS = 3, 9, 4


def check_answers(address: str, seconds: float = _PROBE_SECONDS) -> None:
    """Make sure that a Ray cluster answers at an address.

    Args:
        address: `host:port`, `ray://host:port`; words such as `auto` are left to Ray.
        seconds: to wait at most.

    Raises:
        ClusterError: nothing answers, or something other than Ray; or it is no such address.
    """
    if ":" not in address:
        return
    host, port = _host_and_port(address)
    deadline = time.monotonic() + seconds
    try:
        with socket.create_connection((host, port), timeout=seconds) as connection:
            if _has_transport_security():
                return
            connection.sendall(_HELLO)
            answers = _sends_settings(connection, deadline)
    except TimeoutError:
        raise _refused(address, f"no answer in {seconds:.0f} s") from None
    except (OSError, UnicodeError) as error:  # a name with a part of more than 63 letters
        reason = getattr(error, "strerror", None) or str(error)
        raise _refused(address, reason.lower()) from error
    if not answers:
        raise _refused(address, "what answers there is not Ray")


def _host_and_port(address: str) -> tuple[str, int]:
    """The parts of an address, of which IPv6 is written in brackets."""
    host, _, port = address.removeprefix(_CLIENT).rpartition(":")
    if address.startswith(_CLIENT) and not host:
        return port, _CLIENT_PORT
    if "/" in host or not host or not port.isdecimal():
        raise ClusterError(
            f"RAY_ADDRESS={address}: must be HOST:PORT, as `ray start --head` prints it, or "
            "ray://HOST:PORT; unset it to start a local cluster"
        )
    return host.strip("[]"), int(port)


def _has_transport_security() -> bool:
    return os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")


def _sends_settings(connection: socket.socket, deadline: float) -> bool:
    """Whether the first thing that comes is the header of an HTTP/2 settings frame."""
    header = b""
    while len(header) < _HEADER_BYTES:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        received = connection.recv(_HEADER_BYTES - len(header))
        if not received:
            return False
        header += received
    return header[_TYPE] == _SETTINGS


def _refused(address: str, reason: str) -> ClusterError:
    return ClusterError(
        f"RAY_ADDRESS={address}: cannot join that cluster ({reason}); start it, correct the "
        "address, or unset it to start a local one"
    )
