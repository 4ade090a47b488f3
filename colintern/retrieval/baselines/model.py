"""Another model, by its files: a folder, or a repository of the Hub at one commit.

Nothing is loaded here, so that a driver without a GPU can tell what it has.
"""

import json
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from colintern import log, storage
from colintern.errors import one_line
from colintern.retrieval.baselines.frame import BaselineError
from colintern.storage.process import host

# What a model is made from: no program, and nothing that has to be unpickled.
_PATTERNS = (
    *("*.safetensors", "*.json", "*.txt", "*.model", "*.tiktoken", "*.jinja"),
    "artifact.metadata",  # the settings of a ColBERT of Stanford: without it others are taken
)
_MULTI_VECTOR = ("MultiVectorEncoder", "ColBERT")  # the second is what PyLate calls it
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_ADAPTER = "adapter_config.json"


@dataclass(frozen=True)
class ModelFiles:
    """Which model; small, and can be sent to workers.

    Attributes:
        name: the path of its folder, or its id on the Hub.
        revision: the commit; None for a folder.
        sha256: a hash of all files that it is made from.
        is_multi_vector: whether it gives a vector for each token, or one for each text or page.
    """

    name: str
    revision: str | None
    sha256: str
    is_multi_vector: bool

    def folder(self) -> Path:
        """Where the files are on this machine; fetched from the Hub when they are not.

        Raises:
            BaselineError: the folder is not on this machine, or the Hub does not give the files.
        """
        if self.revision is not None:
            return _from_hub(self.name, self.revision)
        if not Path(self.name).is_dir():
            raise BaselineError(
                f"--model {self.name}: is not on {host()}; copy it to storage that all nodes share"
            )
        return Path(self.name)


def find_model(name: str, revision: str | None = None) -> ModelFiles:
    """Find a model of sentence-transformers.

    Args:
        name: a folder, or an id on the Hub.
        revision: a commit, tag or branch on the Hub; None for what is newest there.

    Raises:
        BaselineError: the package is missing; there is no such model, or it cannot be used.
    """
    _check_package()
    local = Path(name).expanduser()
    if local.is_dir():
        if revision is not None:
            log.warn_once("baseline", "--revision has no effect on a local folder")
        folder, found, commit = local, str(local.resolve()), None
    elif _HUB_ID.fullmatch(name):
        folder = _from_hub(name, revision)
        found, commit = name, folder.name
        log.say("baseline", "%s is at commit %s", name, commit)
    else:
        raise BaselineError(f"--model {name}: no such folder; name a folder, or an id on the Hub")
    is_multi_vector = _is_multi_vector(folder, name)
    _check_weights(folder, name)
    return ModelFiles(found, commit, _hash_of(folder), is_multi_vector)


def default_name(model: ModelFiles) -> str:
    """What the baseline of a model is called if nobody says: the last part, made safe."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", model.name.rstrip("/").rpartition("/")[2])


def _check_package() -> None:
    if find_spec("sentence_transformers") is None:
        raise BaselineError(
            "--model: needs the package sentence-transformers; pip install 'colintern[export]'"
        )


def _from_hub(name: str, revision: str | None) -> Path:
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(_PATTERNS)))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        asked = f" at revision {revision}" if revision else ""
        raise BaselineError(
            f"--model {name}: is no folder, and cannot be fetched from the Hub{asked} "
            f"({one_line(error)}); check the name, or use a local folder"
        ) from error


def _is_multi_vector(folder: Path, name: str) -> bool:
    """By what the files declare. What they leave open is refused: it would be random weights."""
    declared = _read(folder / "config_sentence_transformers.json").get("model_type")
    architectures = _read(folder / "config.json").get("architectures") or []
    if declared in _MULTI_VECTOR or "HF_ColBERT" in architectures:
        return True
    if (folder / "modules.json").exists():
        if declared in (None, "SentenceTransformer"):
            return False
        raise BaselineError(
            f"--model {name}: is a {declared}; a baseline is a SentenceTransformer or a "
            "MultiVectorEncoder"
        )
    if any(architecture.endswith("ForRetrieval") for architecture in architectures):
        return True
    raise BaselineError(
        f"--model {name}: is no model of sentence-transformers (it has no modules.json); save it "
        "as a SentenceTransformer or a MultiVectorEncoder first"
    )


def _check_weights(folder: Path, name: str) -> None:
    """Make sure that all weights are safetensors, and those of this model."""
    if next(folder.rglob(_ADAPTER), None):
        raise BaselineError(
            f"--model {name}: holds an adapter ({_ADAPTER}), which may change with its base; merge "
            "it into the model (merge_and_unload) and save the whole model"
        )
    pickled = (path.parent for path in folder.rglob("pytorch_model*.bin"))
    bare = [place for place in pickled if not list(place.glob("*.safetensors"))]
    if bare or not next(folder.rglob("*.safetensors"), None):
        raise BaselineError(
            f"--model {name}: weights are read from *.safetensors only, and it lacks some; convert "
            "it with save_pretrained"
        )


def _hash_of(folder: Path) -> str:
    """One hash over all files that the model is made from, by their paths."""
    files = sorted({path for pattern in _PATTERNS for path in folder.rglob(pattern)})
    lines = [f"{path.relative_to(folder)} {storage.sha256_of_file(str(path))}" for path in files]
    return storage.sha256_of_bytes("\n".join(lines).encode())


def _read(path: Path) -> dict[str, Any]:
    """A JSON file of a model; empty when it is not there.

    Raises:
        BaselineError: it is damaged.
    """
    if not path.exists():
        return {}
    try:
        document = json.loads(path.read_text())
    except ValueError as error:
        raise BaselineError(
            f"{path}: is not JSON ({one_line(error)}); copy or download the model again"
        ) from error
    return document if isinstance(document, dict) else {}
