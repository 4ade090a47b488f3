"""What an object store does differently from a disk: whole uploads, and conditional writes."""

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import fsspec
import fsspec.config
from botocore.exceptions import ClientError

# S3's answers to a write while another request on the same name is running.
_CONFLICTS = ("ConditionalRequestConflict", "OperationAborted")
_CONFLICT_PAUSES_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.6)
_NOT_AS_EXPECTED = ("PreconditionFailed", "NoSuchKey")
_S3 = ("s3", "s3a")
# One gives 50 to 100 MB/s, and small files wait for each answer; boto would open 10.
_S3_CONNECTIONS = 64


def opened(url: str) -> tuple[Any, str]:
    """The fsspec file system of `url`, and the path inside it.

    Not by `fsspec.core.url_to_fs`: it would read '::' in a name as a chain of URLs.
    """
    protocol = _protocol(url)
    kind = fsspec.get_filesystem_class(protocol)
    options = kind._get_kwargs_from_urls(url)
    if protocol in _S3:
        set_up = fsspec.config.conf.get(protocol, {}).get("config_kwargs", {})
        options["config_kwargs"] = {"max_pool_connections": _S3_CONNECTIONS, **set_up}
    return fsspec.filesystem(protocol, **options), str(kind._strip_protocol(url))


def write(url: str, data: bytes) -> None:
    """Write an object, replacing what was there."""
    file_system, inner = opened(url)
    file_system.pipe_file(inner, data)


@contextmanager
def writing(url: str) -> Iterator[BinaryIO]:
    """A file to write to piece by piece; it is uploaded when the block ends without an error."""
    # A file without a name: nothing stays on the disk when this process is killed.
    with tempfile.TemporaryFile() as file:
        yield cast(BinaryIO, file)
        file.seek(0)  # flushes; and on some systems the open below shares this position
        file_system, inner = opened(url)
        file_system.put_file(f"/dev/fd/{file.fileno()}", inner)


def create(url: str, data: bytes) -> None:
    """Write an object where there is none: on S3 by `If-None-Match: *`.

    Raises:
        FileExistsError: there is one.
    """
    file_system, inner = opened(url)
    try:
        _without_conflicts(lambda: file_system.pipe_file(inner, data, mode="create"))
    except FileExistsError:
        # A create whose answer was lost is sent again, and then finds its own object.
        if not _is_there(file_system, inner, data):
            raise


def update(url: str, data: bytes, may_replace: Callable[[bytes], bool]) -> bool:
    """Write an object again, if its content may be replaced by `data`.

    On S3 what another process writes meanwhile is never overwritten (`If-Match`); on other stores
    it may be, in the moment between the read and the write.

    Returns:
        Whether it was written; False also when there is no object.
    """
    file_system, inner = opened(url)
    condition: dict[str, str] = {}
    file_system.invalidate_cache()
    try:
        if _protocol(url) in _S3:  # before the content: its tag must not be newer
            condition = {"IfMatch": file_system.info(inner)["ETag"]}
        if not may_replace(file_system.cat_file(inner)):
            return False
        _without_conflicts(lambda: file_system.pipe_file(inner, data, **condition))
    except FileNotFoundError:
        return False
    except OSError as error:
        if _code(error) not in _NOT_AS_EXPECTED:
            raise
        return _is_there(file_system, inner, data)  # an update whose answer was lost
    return True


def _is_there(file_system: Any, inner: str, data: bytes) -> bool:
    file_system.invalidate_cache()  # it was not there when the folder was listed
    try:
        return file_system.cat_file(inner) == data
    except FileNotFoundError:
        return False


def _without_conflicts(request: Callable[[], Any]) -> None:
    """Make a request; again after a pause if it collided with another one on the same name."""
    for pause_seconds in (*_CONFLICT_PAUSES_SECONDS, None):
        try:
            request()
            return
        except OSError as error:
            if pause_seconds is None or _code(error) not in _CONFLICTS:
                raise
        time.sleep(pause_seconds * (0.5 + random.random()))


def _code(error: OSError) -> str | None:
    """What S3 calls the error."""
    answer = error.__cause__
    return answer.response["Error"]["Code"] if isinstance(answer, ClientError) else None


def _protocol(url: str) -> str:
    return url.split("://")[0]
