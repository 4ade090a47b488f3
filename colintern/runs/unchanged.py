"""Whether a run that was found complete is so still, told in a second.

What a stage would be made from now is known only with the backbone's configuration and tokenizer,
whose libraries take several seconds to import. So a note on this machine says what a complete run
was looked at with: its settings, the versions, and the state of every file, as git's index does.
While all of that is the same, there is nothing to do; else the run is looked at as always.
"""

from contextlib import suppress
from typing import Any

from colintern import records, storage
from colintern.config.schema import Config, datasets
from colintern.data.resolve import datasets_root, find_source
from colintern.errors import StorageError
from colintern.features.cache import cache_folder
from colintern.model.checkpoint import find_checkpoint
from colintern.records.run_folder import RunFolder
from colintern.runs import preflight
from colintern.runs.versions import commit, versions


def is_unchanged(config: Config) -> bool:
    """Whether this run was complete with these settings, and nothing has changed since.

    Args:
        config: as it was read.

    Raises:
        UserError: a mistake in the settings or datasets, as `colintern run` tells it.
    """
    note = _note(config)
    with suppress(StorageError):  # a run or a note that cannot be read is looked at as always
        is_noted = storage.exists(note) and storage.read_json(note) == _looked_at(config)
        return is_noted and preflight.check(config)
    return False


def note_complete(config: Config) -> None:
    """Note the state of a run that has just been found complete."""
    with suppress(StorageError):  # without a place for notes, the next start looks at everything
        storage.write_json(_note(config), _looked_at(config))


def _note(config: Config) -> str:
    name = records.fingerprint({"run": storage.real(config.run_path)})[:16]
    return storage.join(cache_folder("complete"), f"{name}.json")


def _looked_at(config: Config) -> dict[str, Any]:
    """Fingerprints of all that a complete run depends on."""
    found = {
        "settings": config.located().model_dump(mode="json"),
        "versions": versions(),
        "commit": commit(),
    }
    folders = {folder: _states(folder) for folder in _folders(config)}
    return {name: records.fingerprint({name: value}) for name, value in (found | folders).items()}


def _folders(config: Config) -> list[str]:
    """The run, its stores, its datasets, its backbone, and the heads that it starts from."""
    root, given = datasets_root(config), config.training.init_heads
    info = storage.read_json(RunFolder(config.run_path).head_files(0)[1])
    return [
        config.run_path,
        *info["stores"].values(),
        *(find_source(dataset, root).folder for dataset in datasets(config.data)),
        str(find_checkpoint(config.backbone)),
        *([given] if given else []),
    ]


def _states(folder: str) -> list[str]:
    """A line for each file in a folder that is another one when the file has changed."""
    return [f"{state.path} {state.version}" for state in storage.find_states(folder)]
