"""Whether a run that was found complete is so still, told in a second.

What a stage would be made from now is known only with the backbone's configuration and tokenizer,
whose libraries take several seconds to import. So a note on this machine says what a complete run
was looked at with: its settings, the versions, and the state of every file, as git's index does.
While all of that is the same, there is nothing to do; else the run is looked at as always.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from colintern import records, storage
from colintern.config.schema import Config, datasets
from colintern.errors import StorageError
from colintern.features.cache import cache_folder
from colintern.model.checkpoint import find_checkpoint
from colintern.records.run_folder import RunFolder
from colintern.runs import preflight
from colintern.runs.contents import store_use
from colintern.runs.stages import Encode
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


def dataset_states(config: Config) -> dict[str, list[str]]:
    """The state of every dataset that stands ready, by its folder, before a run looks at them.

    Raises:
        DatasetError: one is missing or has no known layout.
    """
    found = preflight.find_sources(config)
    return {source.folder: _states(source.folder) for source in found if source.write is None}


def note_complete(config: Config, before: Mapping[str, list[str]]) -> None:
    """Note the state of a run that has just been found complete.

    Args:
        config: as it was read.
        before: `dataset_states` from when the run began. Of a dataset that has changed while the
            run was at work nobody has looked at the change: nothing is noted then.
    """
    with suppress(StorageError):  # without a place for notes, the next start looks at everything
        found = _looked_at(config)
        if all(_states(folder) == states for folder, states in before.items()):
            storage.write_json(_note(config), found)


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
    log, judgements = RunFolder(config.run_path).log, config.data.judgements
    folders = {folder: _states(folder, but=log) for folder in _folders(config)}
    said = {judgements: storage.version_of(judgements)} if judgements else {}
    every = (found | folders | said).items()
    return {name: records.fingerprint({name: value}) for name, value in every}


def _folders(config: Config) -> list[str]:
    """The run, its stores, its datasets, its backbone, and the heads that it starts from."""
    given = config.training.init_heads
    return [
        config.run_path,
        *_stores(config),
        *(source.folder for source in preflight.find_sources(config)),
        str(find_checkpoint(config.backbone)),
        *([given] if given else []),
    ]


def _stores(config: Config) -> list[str]:
    """The stores that the run has recorded, where they stand now: a root may have been moved."""
    folder = RunFolder(config.run_path)
    names = [dataset.name for dataset in datasets(config.data)]
    recorded = ((name, folder.record(Encode(name).name)) for name in names)
    uses = (store_use(name, record) for name, record in recorded if record)
    return [storage.join(config.features_root, use.name) for use in uses]


def _states(folder: str, but: str | None = None) -> list[str]:
    """A line for each file in a folder, but for one, that differs when the file has changed."""
    states = storage.find_states(folder)
    return [f"{state.path} {state.version}" for state in states if state.path != but]
