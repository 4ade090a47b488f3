"""Which runs use a `features.root` from elsewhere: each leaves a note there, `clean` follows it.

A run under the same root as its features is found without one.
"""

from collections.abc import Iterable

from colintern import storage
from colintern.config.schema import Config
from colintern.storage import FileState

_FOLDER = "users"
_KEY = "run"


def note_user(config: Config) -> None:
    """Leave the run's note where its features are, unless both have one root."""
    run, root = config.run_path, config.features_root
    if root.startswith(f"{storage.absolute(config.run.root)}/"):
        return
    path = storage.join(root, _FOLDER, f"{storage.sha256_of_bytes(run.encode())[:16]}.json")
    if not storage.exists(path):
        storage.write_json(path, {_KEY: run})


def noted_runs(states: Iterable[FileState]) -> dict[str, str]:
    """The notes among some files: path of the note to path of the run."""
    notes = (state.path for state in states if _is_note(state.path))
    return {path: storage.read_json(path)[_KEY] for path in notes}


def _is_note(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    return folder.endswith(f"/{_FOLDER}") and name.endswith(".json")
