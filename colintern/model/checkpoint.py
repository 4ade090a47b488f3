"""Finds the files of a backbone: in a folder, built in, or at a pinned commit on the Hub."""

import json
import re
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open

from colintern import log, storage
from colintern.config.schema import RANDOM, READERS, BackboneConfig
from colintern.errors import BackboneError, one_line

_BUILT_IN = Path(__file__).parent  # the folder of each reader stands here
_INDEX = ".safetensors.index.json"
_WEIGHTS, _WEIGHTS_INDEX = "model.safetensors", f"model{_INDEX}"
_ADAPTER = "adapter_config.json"
_COMMIT = re.compile(r"[0-9a-f]{40}")
# Files that features depend on: weights, configuration, image processor, tokenizer in any format.
_SUFFIXES = (".safetensors", ".json", ".txt", ".model", ".tiktoken")
CHECKPOINT_FILES = tuple(f"*{suffix}" for suffix in _SUFFIXES)


def find_checkpoint(config: BackboneConfig) -> Path:
    """The local folder with the backbone's files; downloaded from the Hub if necessary.

    Raises:
        BackboneError: there is no such folder, the Hub id has no pinned revision or cannot be
            fetched, or the folder holds an adapter or no safetensors weights.
    """
    if config.path in READERS:
        folder = _BUILT_IN / config.path
    elif config.path == RANDOM:
        log.warn_once(
            "backbone",
            "backbone.path=random is for tests: its random weights cannot read",
        )
        from colintern.model.random_checkpoint import random_checkpoint  # brings torch

        folder = random_checkpoint()
    elif (local := Path(config.path).expanduser()).is_dir():
        if config.revision is not None:
            log.warn_once("backbone", "backbone.revision has no effect on a local folder")
        folder = local
    else:
        folder = _from_hub(config)
    if (folder / _ADAPTER).exists():
        raise BackboneError(
            f"backbone.path={config.path}: holds an adapter ({_ADAPTER}); adapters are not "
            "supported: merge it into the model (merge_and_unload) and save the whole model"
        )
    if not list(folder.glob("*.safetensors")):
        raise BackboneError(
            f"backbone.path={config.path}: it has no *.safetensors files; "
            "convert the checkpoint with save_pretrained"
        )
    return folder


def weight_files(folder: Path, name: str) -> list[Path]:
    """The files that transformers loads: `model.safetensors`, or else the files in its index.

    Every weight file in the folder is checked for completeness by its header; no weights are read.

    Raises:
        BackboneError: there is no such file, or one is missing or cut off.
    """
    indexed = {index.name: _indexed(index, name) for index in folder.glob(f"*{_INDEX}")}
    present = {path.name for path in folder.glob("*.safetensors")}
    for file in sorted(present.union(*indexed.values())):
        try:
            with safe_open(folder / file, "pt"):
                pass
        except (OSError, SafetensorError) as error:
            raise BackboneError(
                f"backbone.path={name}: {file} is missing or incomplete ({error}); "
                "copy or download it again"
            ) from error
    loaded = {_WEIGHTS} if _WEIGHTS in present else indexed.get(_WEIGHTS_INDEX)
    if loaded is None:
        raise BackboneError(
            f"backbone.path={name}: has neither {_WEIGHTS} nor {_WEIGHTS_INDEX}; "
            "convert the checkpoint with save_pretrained"
        )
    return [folder / file for file in sorted(loaded)]


def _indexed(index: Path, name: str) -> set[str]:
    """The file names in an index of weights."""
    try:
        document = json.loads(index.read_text())
        document["metadata"]  # transformers fails without it
        return {str(file) for file in document["weight_map"].values()}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise BackboneError(
            f"backbone.path={name}: {index.name} is not an index of weights; download it again"
        ) from error


def checkpoint_hash(folder: Path) -> str:
    """One hash over the weights, configuration, tokenizer and image processor files."""
    files = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES)
    lines = [f"{path.name} {storage.sha256_of_file(str(path))}" for path in files]
    return storage.sha256_of_bytes("\n".join(lines).encode())


def _from_hub(config: BackboneConfig) -> Path:
    if config.path.count("/") != 1 or config.path.startswith((".", "/", "~")):
        raise BackboneError(
            f"backbone.path={config.path}: no such folder; name a folder, 'reader-print', "
            "'reader', or a Hub id such as OpenGVLab/InternVL3-1B-hf"
        )
    if config.revision is None or not _COMMIT.fullmatch(config.revision):
        raise BackboneError(
            f"backbone.revision={config.revision}: a model from the Hub ({config.path}) needs a "
            "full commit hash (40 hexadecimal digits, on the model's page): a branch can change "
            "between downloads, and features of two versions would be mixed"
        )
    try:
        return Path(
            snapshot_download(
                config.path,
                revision=config.revision,
                allow_patterns=list(CHECKPOINT_FILES),
            )
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        raise BackboneError(
            f"backbone.path={config.path}: cannot be downloaded from the Hub at revision "
            f"{config.revision} ({one_line(error)}); check path and revision, or use a local folder"
        ) from error
