"""Datasets on the Hugging Face Hub: which commit is read, and what the Hub's errors mean.

A dataset there is read at one commit. Branches and tags can move to another commit: they are an
error, which names the commit that they mean now.
"""

import re
from pathlib import Path
from urllib.parse import unquote

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from colintern import storage
from colintern.config.pinned import Kind
from colintern.errors import DatasetError, one_line

DATASET_FILES = ("*.parquet", "README.md")  # all that a dataset is read from

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
    except (HFValidationError, *storage.hub_errors()) as error:
        raise DatasetError(f"{url}: {reason(error, name, revision)}") from error
    if commit != revision:
        raise DatasetError(
            f"{url}: the revision {revision} is not a whole commit hash and can change; "
            f"now it is {commit}: set revision: {commit}"
        )


def downloaded(url: str) -> str | None:
    """The folder of the Hub's cache where `colintern download` has put a dataset; None without.

    A folder is used only where the cache knows all files of the commit, and none is missing.

    Args:
        url: of a whole dataset, as `pinned_url` returns it.
    """
    found = _URL.fullmatch(url)
    if not found or found["folder"] or not found["revision"]:
        return None
    name, revision = found["name"], found["revision"]
    try:
        folder = snapshot_download(
            name,
            repo_type="dataset",
            revision=revision,
            allow_patterns=list(DATASET_FILES),
            local_files_only=True,
        )
    except (HFValidationError, OSError):  # among them: it is not there, or not whole
        return None
    listing = Path(folder).parent.parent / "trees" / f"{revision}.json"
    return folder if listing.is_file() else None


def reason(error: Exception, name: str, revision: str, kind: Kind = "dataset") -> str:
    """What an error of the Hub means, and what to do.

    Args:
        error: as the Hub's client raised it.
        name: that was asked for.
        revision: of it.
        kind: what the name is that of.
    """
    page = f"https://huggingface.co/{'datasets/' if kind == 'dataset' else ''}{name}"
    if isinstance(error, GatedRepoError):
        return f"it is gated; accept its terms on {page} and set HF_TOKEN"
    if isinstance(error, RepositoryNotFoundError):
        return f"the Hub has no such {kind}, or it is private; check the name, or set HF_TOKEN"
    if isinstance(error, RevisionNotFoundError):
        return f"the {kind} has no revision {revision}; take a commit of {page}/commits/main"
    said = one_line(error)
    if isinstance(error, HfHubHTTPError) and error.response.status_code in (401, 403):
        return f"the Hub denies access ({said}); set HF_TOKEN to a token that can read it"
    return f"the Hub cannot be reached ({said}); check the name and the connection, or try again"
