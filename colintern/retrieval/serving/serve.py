"""Serving a finished run: what is opened where, until a signal ends it."""

from dataclasses import dataclass
from functools import partial

from colintern import storage
from colintern.config.schema import datasets
from colintern.retrieval.corpus import must_pool
from colintern.retrieval.finished import FinishedRun, open_finished
from colintern.retrieval.memory import default_memory
from colintern.retrieval.retriever import Retriever, device_of
from colintern.retrieval.serving.answering import Answering
from colintern.retrieval.serving.api import make_app
from colintern.runtime.cluster import on_machines_here
from colintern.runtime.deployments import Answer
from colintern.runtime.serve import Served, serve_until_stopped


@dataclass(frozen=True)
class ServeSettings:
    """How a run is served.

    Attributes:
        host: where the server listens.
        port: at which it listens.
        token: what clients have to show; None on loopback.
        dataset: as of `Retriever.open`.
        round_number: whose heads; None takes the best round.
        replicas: processes that answer, each with the model and the pages of its own.
        memory: bytes that the pages of one replica may take; None shares half of what is free.
    """

    host: str
    port: int
    token: str | None
    dataset: str | None = None
    round_number: int | None = None
    replicas: int = 1
    memory: int | None = None


def serve_run(run_path: str, settings: ServeSettings) -> None:
    """Serve a run until a signal ends the process. A dataset that is new is encoded before.

    Raises:
        UserError: the run, round or dataset is not there, the memory is too little, or the cluster
            cannot do it.
    """
    finished = open_finished(run_path, settings.round_number)
    searched = finished.dataset(settings.dataset)
    store = finished.store(searched)
    if settings.memory is not None:  # else each replica looks what is free on its machine
        must_pool(finished, store, settings.memory)
    served = served_run(finished, settings)
    each = "1 replica" if settings.replicas == 1 else f"{settings.replicas} replicas"
    told = f"searches {searched.name}, round {finished.round_number}, {each}"
    serve_until_stopped(served, on_machines_here(finished.config), told)


def served_run(finished: FinishedRun, settings: ServeSettings) -> Served:
    """What Ray Serve is given, for a dataset whose features are there."""
    known = {dataset.name for dataset in datasets(finished.config.data)}
    dataset = settings.dataset
    if dataset is not None and dataset not in known:
        dataset = storage.absolute(dataset)  # a replica may work in another folder
    run_path = storage.absolute(finished.folder.path)
    open_answer = partial(
        _open_answer,
        run_path,
        finished.round_number,
        dataset,
        settings.memory,
        settings.replicas,
    )
    app = partial(make_app, token=settings.token)
    return Served(open_answer, app, settings.host, settings.port, settings.replicas)


def _open_answer(
    run_path: str, round_number: int, dataset: str | None, memory: int | None, replicas: int
) -> Answer:
    """The run, opened in the process of a replica."""
    if memory is None:  # replicas that start together see the same memory as free
        device = device_of(open_finished(run_path, round_number).config)
        memory = default_memory(device) // replicas
    retriever = Retriever.open(run_path, round_number, dataset, memory=memory)
    retriever.embed_queries(["ready"])  # loads the model, for which the first client would wait
    return Answering(retriever).answer
