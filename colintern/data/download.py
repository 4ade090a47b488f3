"""Fetches a model or a dataset of the Hub at one commit, to be found there by later runs.

Only files that are read are fetched: weights in safetensors, tokenizers and configurations of a
model; parquet files and the card of a dataset. No pickled file, no code. What a killed call has
finished is not fetched again.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from huggingface_hub.utils import disable_progress_bars

from colintern import log, storage
from colintern.config.pinned import ADVISED, Pinned
from colintern.config.suited import overrides, suited
from colintern.data import hub
from colintern.errors import BackboneError, DatasetError, UserError
from colintern.model.checkpoint import CHECKPOINT_FILES

_WEIGHTS, _TABLES = "*.safetensors", "*.parquet"


@dataclass(frozen=True)
class Downloaded:
    """What was fetched, or was there already.

    Attributes:
        what: the model or dataset, and its commit.
        folder: where it stands.
        num_bytes: of the files that are used.
        is_in_cache: whether it stands in the Hub's cache, where its name finds it.
    """

    what: Pinned
    folder: str
    num_bytes: int
    is_in_cache: bool

    @property
    def settings(self) -> str:
        """What makes a run use it."""
        if self.what.kind == "model":
            place = {
                "backbone.path": self.what.name if self.is_in_cache else self.folder,
                "backbone.revision": self.what.revision if self.is_in_cache else None,
            }
            return overrides(suited(ADVISED) | place)  # they suit any InternVL
        if self.is_in_cache:
            return f"{{path: {self.what.name}, revision: {self.what.revision}}}"
        return f"{{path: {self.folder}, name: {self.what.name.rsplit('/', 1)[-1]}}}"


def download(what: Pinned, out: str | None = None) -> Downloaded:
    """Fetch all files of a model or dataset that are used.

    Args:
        what: which one, at which commit.
        out: a local folder to write to; None for the Hub's cache.

    Raises:
        BackboneError: the Hub does not have the model, denies access or cannot be reached, or the
            model has no safetensors weights.
        DatasetError: the same of a dataset, which has to have parquet files.
        StorageError: the folder cannot be written.
    """
    kind = BackboneError if what.kind == "model" else DatasetError
    patterns = CHECKPOINT_FILES if what.kind == "model" else hub.DATASET_FILES
    if not sys.stderr.isatty():
        disable_progress_bars()
    with storage.named_errors(out or "the cache of the Hub"):
        try:
            folder = snapshot_download(
                what.name,
                repo_type=what.kind,
                revision=what.revision,
                local_dir=out,
                allow_patterns=list(patterns),
            )
        except (HFValidationError, *storage.hub_errors()) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # a disk that is full, or a folder that cannot be written
            why = hub.reason(_cause(error), what.name, what.revision, what.kind)
            raise kind(f"{what.name} at {what.revision}: {why}") from error
    files = [path for pattern in patterns for path in _visible(Path(folder), pattern)]
    _check_is_useful(what, files, kind)
    return Downloaded(what, folder, sum(path.stat().st_size for path in files), out is None)


def download_lines(wanted: Sequence[Pinned], out: str | None = None) -> Iterator[str]:
    """Fetch one thing after the other, and tell of each where it stands and how it is used.

    Args:
        wanted: what to fetch.
        out: as of `download`; of several things each gets a folder of its own in it, called as on
            the Hub.

    Raises:
        UserError: as `download`.
    """
    for what in wanted:
        inner = what.name.rsplit("/", 1)[-1]
        found = download(what, out if out is None or len(wanted) == 1 else f"{out}/{inner}")
        yield f"{what.name}, revision {what.revision}, {log.size_text(found.num_bytes)}"
        yield f"  in:  {found.folder}"
        yield f"  use: {found.settings}"


def _cause(error: Exception) -> Exception:
    """What the Hub's client failed at: it tells at length that its cache does not help either."""
    beneath = error.__cause__ if isinstance(error, LocalEntryNotFoundError) else None
    return beneath if isinstance(beneath, Exception) else error


def _visible(folder: Path, pattern: str) -> Iterator[Path]:
    """The files below a folder, without the notes that the Hub's client keeps in `.cache/`."""
    for path in folder.rglob(pattern):
        if not path.relative_to(folder).parts[0].startswith("."):
            yield path


def _check_is_useful(what: Pinned, files: Sequence[Path], kind: type[UserError]) -> None:
    needed = _WEIGHTS if what.kind == "model" else _TABLES
    if not any(path.match(needed) for path in files):
        remedy = "take an -hf checkpoint" if what.kind == "model" else "take one that has some"
        raise kind(f"{what.name} at {what.revision}: has no {needed} files; {remedy}")
