"""Datasets on the Hugging Face Hub: which commit is read, and what the Hub's errors mean.

A dataset there is read at one commit. Branches and tags can move to another commit: they are an
error, which names the commit that they mean now.
"""

import re
from urllib.parse import unquote

from huggingface_hub import HfApi
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from colintern import storage
from colintern.errors import DatasetError, one_line

_URL = re.compile(r"hf://datasets/(?P<name>[^/@]+/[^/@]+)(@(?P<revision>[^/]+))?(?P<folder>/.+)?")


def is_url(path: str) -> bool:
    """Whether `path` is on the Hub."""
    return path.startswith("hf://")


def pinned_url(url: str, revision: str | None) -> str:
    """`url` with its revision behind the dataset's name.

    Args:
        url: `hf://datasets/owner/name`, with or without `@revision` and a folder behind it.
        revision: as configured; it may also stand in the URL.

    Raises:
        DatasetError: it is no such URL, or there is no revision, or there are two.
    """
    found = _URL.fullmatch(url)
    if not found:
        raise DatasetError(f"{url}: a dataset on the Hub is hf://datasets/OWNER/NAME[/FOLDER]")
    if revision and found["revision"] not in (None, revision):
        raise DatasetError(f"{url}: names another revision than revision: {revision}; leave one")
    revision = revision or found["revision"]
    if not revision:
        raise DatasetError(
            f"{url}: a Hub dataset needs a pinned commit: {{path: {url}, revision: <commit>}}"
        )
    return f"hf://datasets/{found['name']}@{revision}{found['folder'] or ''}"


def check_commit(url: str) -> None:
    """Make sure that the Hub has the dataset, and that its revision is a commit.

    Args:
        url: as `pinned_url` returns it.

    Raises:
        DatasetError: the Hub does not have it, denies access or cannot be reached, or the revision
            can move; the message says what to do.
    """
    found = _URL.fullmatch(url)
    assert found, url
    name, revision = found["name"], found["revision"]
    try:
        commit = HfApi().dataset_info(name, revision=unquote(revision)).sha
    except (HFValidationError, *storage.HUB_ERRORS) as error:
        raise DatasetError(f"{url}: {_reason(error, name, revision)}") from error
    if commit != revision:
        raise DatasetError(
            f"{url}: the revision {revision} is not a whole commit hash and can change; "
            f"now it is {commit}: set revision: {commit}"
        )


def _reason(error: Exception, name: str, revision: str) -> str:
    """What an error of the Hub means, and what to do."""
    page = f"https://huggingface.co/datasets/{name}"
    if isinstance(error, GatedRepoError):
        return f"it is gated; accept its terms on {page} and set HF_TOKEN"
    if isinstance(error, RepositoryNotFoundError):
        return "the Hub has no such dataset, or it is private; check the name, or set HF_TOKEN"
    if isinstance(error, RevisionNotFoundError):
        return f"the dataset has no revision {revision}; take a commit of {page}/commits/main"
    said = one_line(error)
    if isinstance(error, HfHubHTTPError) and error.response.status_code in (401, 403):
        return f"the Hub denies access ({said}); set HF_TOKEN to a token that can read it"
    return f"the Hub cannot be reached ({said}); check the name and the connection, or try again"
