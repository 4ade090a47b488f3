"""The loop: encode once; train, evaluate, mine; again until dev does not gain any more."""

import contextlib
import importlib.util
from collections.abc import Iterator

from colintern import lease, log, storage
from colintern.config import Config, DatasetConfig, unused_settings
from colintern.data.canonical import CanonicalDataset
from colintern.data.demo import DEMO_VERSION, write_demo
from colintern.data.resolve import canonical_folder
from colintern.errors import ConfigError
from colintern.features.catalog import datasets
from colintern.model.backbone import read_identity
from colintern.run_folder import RunFolder
from colintern.runtime.cluster import cluster_of
from colintern.session import Session, check_init_heads


def run(config: Config) -> RunFolder:
    """Run the whole loop, or what is missing of it.

    Returns:
        The finished run folder.
    """
    with open_session(config) as session:
        session.encode()
        session.evaluate(0)
        for round_number in range(1, config.loop.max_rounds + 1):
            if round_number > 1:
                session.mine(round_number)
            session.train(round_number)
            session.evaluate(round_number)
            decision = session.decide()
            if decision.decision == "stop":
                break
        session.report()
        return session.folder


@contextlib.contextmanager
def open_session(config: Config) -> Iterator[Session]:
    """Check everything that a user may have got wrong, then hold the run for this driver.

    Raises:
        UserError: a dataset, the backbone, a setting that would change a recorded stage, or
            another driver on the same run; before any long work starts.
    """
    _check_extras(config)
    backbone = read_identity(config.backbone)
    for setting in unused_settings(config):
        log.warn_once("config", setting)
    config = with_datasets(config)
    _check_dev(config)
    for dataset in datasets(config.data):
        CanonicalDataset(dataset.path).check()
    if config.training.init_heads:
        check_init_heads(config, backbone)
    with (
        lease.held(config.run_path, wait=False) as held,
        cluster_of(config) as cluster,
        contextlib.closing(Session(config, backbone, cluster, held)) as session,
    ):
        session.check_drift()
        session.write_run_json()
        yield session


def _check_dev(config: Config) -> None:
    dev = config.data.dev
    if dev is not None and dev.path == config.data.train.path:
        raise ConfigError(
            f"data.dev: {dev.path} is data.train too, so that nothing would be left to train on; "
            "set data.dev=null to take data.dev_fraction of it"
        )


def _check_extras(config: Config) -> None:
    """Make sure that the packages which only some settings need are installed."""
    may_pool = config.mining.search != "exact" or config.evaluation.search != "exact"
    needed = {
        "faiss": ("mining.search and evaluation.search", "cpu or gpu", may_pool),
        "deepspeed": ("training.strategy", "deepspeed", config.training.strategy == "deepspeed"),
    }
    for module, (key, extra, is_needed) in needed.items():
        if is_needed and importlib.util.find_spec(module) is None:
            raise ConfigError(
                f"{key}: need the package {module}; install the extra {extra}: "
                "pip install 'colintern[...]'"
            )


def with_datasets(config: Config) -> Config:
    """The configuration with every dataset's canonical folder, made first where it must be."""
    data = config.data
    complete = data.model_copy(
        update={
            "train": resolved(data.train, config),
            "dev": data.dev and resolved(data.dev, config),
            "eval": tuple(resolved(dataset, config) for dataset in data.eval),
        }
    )
    return config.model_copy(update={"data": complete})


def resolved(dataset: DatasetConfig, config: Config) -> DatasetConfig:
    """A dataset with the canonical folder that it is read from, made first where it must be."""
    root = storage.join(storage.absolute(config.run.root), "datasets")
    with lease.held(root, wait=True):
        folder = _demo_folder(dataset, root) if dataset.is_demo else canonical_folder(dataset, root)
    return dataset.model_copy(update={"path": folder})


def _demo_folder(dataset: DatasetConfig, root: str) -> str:
    assert dataset.split is not None
    folder = storage.join(root, f"{dataset.path}-{dataset.split}-v{DEMO_VERSION}")
    if not storage.exists(storage.join(folder, "dataset.json")):
        log.say("data", "writing the built-in corpus %s %s", dataset.path, dataset.split)
        write_demo(folder, dataset.path, dataset.split)
    return folder
