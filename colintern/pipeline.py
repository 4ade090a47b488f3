"""The loop: encode once; train, evaluate, mine; again until dev does not gain any more."""

import contextlib
from collections.abc import Iterator

from colintern import lease, log, storage
from colintern.config import Config, DatasetConfig
from colintern.data.canonical import CanonicalDataset
from colintern.data.demo import write_demo
from colintern.features.catalog import datasets
from colintern.model.backbone import read_identity
from colintern.model.heads import load_heads
from colintern.run_folder import RunFolder
from colintern.runtime.cluster import cluster_of
from colintern.session import Session


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
    backbone = read_identity(config.backbone)
    config = with_datasets(config)
    for dataset in datasets(config.data):
        CanonicalDataset(dataset.path).judgements()
    if config.training.init_heads:
        load_heads(config.training.init_heads)
    with (
        lease.held(config.run_path, wait=False),
        cluster_of(config) as cluster,
        contextlib.closing(Session(config, backbone, cluster)) as session,
    ):
        session.check_drift()
        session.write_run_json()
        yield session


def with_datasets(config: Config) -> Config:
    """The configuration with every dataset's path made absolute, and the demo written."""
    data = config.data
    resolved = data.model_copy(
        update={
            "train": _resolved(data.train, config),
            "dev": data.dev and _resolved(data.dev, config),
            "eval": tuple(_resolved(dataset, config) for dataset in data.eval),
        }
    )
    return config.model_copy(update={"data": resolved})


def _resolved(dataset: DatasetConfig, config: Config) -> DatasetConfig:
    if not dataset.is_demo:
        return dataset.model_copy(update={"path": storage.absolute(dataset.path)})
    assert dataset.split is not None
    root = storage.join(storage.absolute(config.run.root), "datasets")
    folder = storage.join(root, f"{dataset.path}-{dataset.split}")
    with lease.held(root, wait=True):
        if not storage.exists(storage.join(folder, "dataset.json")):
            log.say("data", "writing the built-in corpus %s %s", dataset.path, dataset.split)
            write_demo(folder, dataset.path, dataset.split)
    return dataset.model_copy(update={"path": folder})
