"""Where the feature stores of a run stand."""

from colintern import storage
from colintern.config.schema import Config
from colintern.errors import ColInternError
from colintern.model.heads import read_info
from colintern.records.run_folder import RunFolder


def stores_of(folder: RunFolder, config: Config, round_number: int) -> dict[str, str]:
    """The feature store of each dataset, as it is written beside the heads of a round.

    A store that is not there any more may have been moved with the root of the run: then it stands
    under its name in the features of today.

    Args:
        folder: of the run.
        config: its settings, with the places where its folders stand now.
        round_number: whose heads; where there are none, no store is known.
    """
    try:
        written = read_info(folder.heads(round_number)).stores
    except ColInternError:
        return {}
    return {name: _now(path, config) for name, path in written.items()}


def _now(path: str, config: Config) -> str:
    moved = storage.join(config.features_root, path.rstrip("/").rpartition("/")[2])
    return moved if storage.exists(moved) or not storage.exists(path) else path
