"""Where a backbone's files are: a folder, a built-in name, or a pinned revision on the Hub."""

import json
import re
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open

from colintern import log, storage
from colintern.config import RANDOM, READER, BackboneConfig
from colintern.errors import BackboneError, one_line
from colintern.model.random_checkpoint import random_checkpoint

_READER_FOLDER = Path(__file__).parent / "reader"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]


def find_checkpoint(config: BackboneConfig) -> Path:
    """The local folder with the backbone's files, fetched from the Hub if need be.

    Raises:
        BackboneError: there is no such folder, the Hub id has no pinned revision or cannot be
            fetched, or the folder holds no safetensors weights.
    """
    if config.path == READER:
        folder = _READER_FOLDER
    elif config.path == RANDOM:
        log.warn_once(
            "backbone",
            "path=random is a tiny InternVL with random weights: it cannot read",
        )
        folder = random_checkpoint()
    elif (local := Path(config.path).expanduser()).is_dir():
        if config.revision is not None:
            log.warn_once("backbone", "backbone.revision has no effect on a local folder")
        folder = local
    else:
        folder = _from_hub(config)
    if not list(folder.glob("*.safetensors")):
        raise BackboneError(
            f"backbone.path={config.path}: no *.safetensors weights in it; "
            "convert the checkpoint with save_pretrained"
        )
    return folder


def check_weight_files(folder: Path, name: str) -> None:
    """Make sure that every weight file is whole, from its header: no weights are loaded.

    Raises:
        BackboneError: a file is missing or cut short.
    """
    files = {path.name for path in folder.glob("*.safetensors")}
    for index in folder.glob("*.safetensors.index.json"):
        try:
            files.update(json.loads(index.read_text())["weight_map"].values())
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise BackboneError(
                f"backbone.path={name}: {index.name} is no index of weights; download it again"
            ) from error
    for file in sorted(files):
        try:
            with safe_open(folder / file, "pt"):
                pass
        except (OSError, SafetensorError) as error:
            raise BackboneError(
                f"backbone.path={name}: {file} is missing or not whole ({error}); "
                "copy or download it again"
            ) from error


def checkpoint_hash(folder: Path) -> str:
    """A hash over weights, configuration, tokenizer and image processor files."""
    files = sorted(
        path for path in folder.iterdir() if path.suffix in (".safetensors", ".json", ".txt")
    )
    lines = [f"{path.name} {storage.sha256_of_file(str(path))}" for path in files]
    return storage.sha256_of_bytes("\n".join(lines).encode())


def _from_hub(config: BackboneConfig) -> Path:
    if config.path.count("/") != 1 or config.path.startswith((".", "/", "~")):
        raise BackboneError(
            f"backbone.path={config.path}: no such folder; name a folder, 'reader', "
            "or a Hub id such as OpenGVLab/InternVL3-1B-hf"
        )
    if config.revision is None or not _COMMIT.fullmatch(config.revision):
        raise BackboneError(
            f"backbone.revision={config.revision}: a Hub id ({config.path}) needs a commit, 40 "
            "hexadecimal digits from the model's page: a branch moves, and nodes that fetch it at "
            "different times would mix features"
        )
    try:
        return Path(
            snapshot_download(config.path, revision=config.revision, allow_patterns=_HUB_FILES)
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        reason = one_line(error)
        raise BackboneError(
            f"backbone.path={config.path}: cannot be fetched from the Hub at revision "
            f"{config.revision} ({reason}); check both, or give a local folder"
        ) from error
