"""The loop: encode once; train, evaluate, mine; again until dev does not gain any more."""

import contextlib
from collections.abc import Iterator, Sequence

from colintern import log
from colintern.config.schema import Config, datasets
from colintern.data.resolve import datasets_root, find_source, with_datasets
from colintern.model.backbone import read_identity
from colintern.records import lease
from colintern.records.run_folder import RunFolder
from colintern.run.preflight import (
    check_datasets,
    check_extras,
    check_init_heads,
    check_roots,
    shared_questions,
    unused_settings,
)
from colintern.run.session import Session
from colintern.runtime.cluster import cluster_of
from colintern.runtime.resources import STAGES, Stage


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
            decision = session.decide(round_number)
            if decision.decision == "stop":
                session.evaluate_rounds_from(round_number + 1)  # left of a start with more rounds
                break
        session.report()
        return session.folder


@contextlib.contextmanager
def open_session(config: Config, stages: Sequence[Stage] = STAGES) -> Iterator[Session]:
    """Check everything that a user may have got wrong, then hold the run for this driver.

    Args:
        config: as it was read.
        stages: those that may run, for which a cluster has to be large enough.

    Raises:
        UserError: a dataset, the backbone, a setting that would change a recorded stage, or
            another driver on the same run; before any long work starts.
    """
    check_roots(config)
    check_extras(config)
    for dataset in datasets(config.data):
        find_source(dataset, datasets_root(config))
    for setting in unused_settings(config):
        log.warn_once("config", setting)
    with lease.held(config.run_path, wait=False) as held:
        backbone = read_identity(config.backbone)
        check_init_heads(config, backbone)
        config = with_datasets(config)
        check_datasets(config)
        for sentence in shared_questions(config):
            log.warn_once("data", sentence)
        with (
            cluster_of(config, stages) as cluster,
            contextlib.closing(Session(config, backbone, cluster, held)) as session,
        ):
            session.recorded.check_drift()
            session.write_run_json()
            yield session
