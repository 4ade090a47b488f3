"""Where things stand that a run has recorded, after its root was moved, copied or linked.

`run.json` keeps whole paths, as of the day it was written. Whoever reads it is given the places of
today: what stood below the root of the run, and came along, stands below the root where the run
folder stands now. All else stands where it stood.
"""

from colintern import storage
from colintern.config.schema import Config, DatasetConfig


def located_now(config: Config, run_path: str) -> Config:
    """The settings of a run with the places where its folders stand now.

    Args:
        config: as `run.json` has it.
        run_path: the run folder, which may have been moved, with its root or alone.
    """
    before = storage.absolute(config.run.root)
    root, _, name = storage.absolute(run_path).rpartition("/")
    run = config.run.model_copy(update={"root": root, "name": name})
    if root == before:
        return config.model_copy(update={"run": run})

    def now(path: str) -> str:
        return _came_along(path, before, root)

    def dataset_now(dataset: DatasetConfig) -> DatasetConfig:
        return dataset.model_copy(update={"path": now(dataset.path)})

    data, heads = config.data, config.training.init_heads
    features = now(config.features_root)
    is_default = features == storage.join(root, "features") and config.features.root is None
    moved = {
        "run": run,
        "data": data.model_copy(
            update={
                "train": dataset_now(data.train),
                "dev": data.dev and dataset_now(data.dev),
                "eval": tuple(map(dataset_now, data.eval)),
                "judgements": data.judgements and now(data.judgements),
            }
        ),
        "backbone": config.backbone.model_copy(update={"path": now(config.backbone.path)}),
        "features": config.features.model_copy(update={"root": None if is_default else features}),
        "training": config.training.model_copy(update={"init_heads": heads and now(heads)}),
    }
    return config.model_copy(update=moved)


def _came_along(path: str, before: str, root: str) -> str:
    """A path below the root of before, as it is below the root of now.

    As it was where it stayed behind; what is nowhere is missed where it would have come along.
    """
    below = "" if path == before else storage.inside(path, before)
    if below is None:
        return path
    along = storage.join(root, below).rstrip("/")
    return path if not storage.exists(along) and storage.exists(path) else along
