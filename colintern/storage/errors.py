"""Errors of file systems as one line that names the path."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
)

from colintern.errors import PathError, StorageError, one_line
from colintern.storage.paths import is_local

# Raised about an impossible path, an unknown scheme, or impossible credentials.
_MISTAKES = (
    ValueError,
    ImportError,
    IsADirectoryError,
    NotADirectoryError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
)
_MISTAKEN_NUMBERS = (errno.EINVAL, errno.ELOOP, errno.ENAMETOOLONG, errno.EROFS)
_FULL = (errno.ENOSPC, errno.EDQUOT)


@cache
def hub_errors() -> tuple[type[Exception], ...]:
    """What the Hub's library raises; imported when something fails: it takes 0.1 s of each start.

    The base classes of its error: those of the HTTP library, which differs between versions.
    """
    from huggingface_hub.errors import HfHubHTTPError

    return HfHubHTTPError.__bases__  # pyright: ignore[reportReturnType]


@contextmanager
def named_errors(path: str) -> Iterator[None]:
    """Turn what file systems raise about `path` into one line that names it.

    Raises:
        PathError: it is wrong, which the user can correct.
        StorageError: storage fails.
    """
    try:
        yield
    except FileExistsError:
        raise
    except FileNotFoundError as error:
        what = "file or folder" if is_local(path) else "file, folder or bucket"
        raise PathError(f"{path}: no such {what}") from error
    except PermissionError as error:
        raise PathError(f"{path}: access denied; check its permissions or credentials") from error
    except NoCredentialsError as error:
        raise PathError(
            f"{path}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or "
            "AWS_PROFILE, or run where a role gives them"
        ) from error
    except (OSError, *_MISTAKES, BotoCoreError, ClientError, *hub_errors()) as error:
        reason = one_line(error)
        number = error.errno if isinstance(error, OSError) else None
        if isinstance(error, _MISTAKES) or number in _MISTAKEN_NUMBERS:
            raise PathError(f"{path}: cannot be read or written ({reason})") from error
        remedy = "check the connection, or try again"
        if is_local(path):
            remedy = "free some space" if number in _FULL else "check the disk, or try again"
        raise StorageError(f"{path}: cannot be read or written ({reason}); {remedy}") from error
