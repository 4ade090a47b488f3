"""A whole run in this process, without Ray and in seconds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from colintern import storage
from colintern.config.files import parse_config
from colintern.config.schema import Config, HeadsConfig
from colintern.features.catalog import Catalog
from colintern.model.heads import init_heads, save_heads
from colintern.records.lease import Held
from colintern.records.machine import Machine, machine_here
from colintern.retrieval.answers import Hit
from colintern.retrieval.retriever import Retriever
from colintern.runs.local import LocalWorkers
from colintern.runs.workers import Workers
from colintern.runtime.resources import Request
from colintern.runtime.work import SearchWork, Tell
from colintern.training.loop import RoundTask
from tests.helpers import make_corpus

BACKBONE = Path(__file__).parent / "data" / "recorded-3bf57ee" / "backbone"


class NoWorkers:
    """Whoever has work for them fails."""

    def encode(self, *_: Any, **__: Any) -> NoReturn:
        raise AssertionError("a finished stage would be done again")

    train = search = fit_basis = make_parts = encode

    def machine(self, config: Config) -> Machine:
        return machine_here()


class QuickWorkers(LocalWorkers):
    """Work in this process, with random heads of each round in place of trained ones.

    Attributes:
        measured: (round, dataset) of every evaluation.
    """

    def __init__(self) -> None:
        self.measured: list[tuple[int, str]] = []

    def train(self, task: RoundTask, request: Request, held: Held, show: Tell) -> None:
        heads = HeadsConfig(dim=task.info.dim)
        made = init_heads(heads, task.info.features_width, task.round_number)
        save_heads(made, task.heads_folder, task.info)
        storage.write_bytes(task.log_path, b'{"step": 1, "loss": 1.0}\n')

    def search(
        self, work: SearchWork, catalog: Catalog, request: Request, held: Held, show: Tell
    ) -> dict[str, Any]:
        document = super().search(work, catalog, request, held, show)
        if "dataset" in document:
            self.measured.append((document["round"], document["dataset"]))
        return document


def make_config(root: Path, **sections: Mapping[str, Any]) -> Config:
    """A run of two rounds over small datasets in `root`, which are made when they are not there."""
    if not (root / "train").exists():
        make_corpus(root / "train", num_pages=24, num_queries=40)
        make_corpus(root / "test", num_pages=6, num_queries=8, first_picture=100)
    document: dict[str, Any] = {
        "run": {"name": "run", "root": str(root / "runs")},
        "backbone": {"path": str(BACKBONE)},
        "data": {"train": str(root / "train"), "eval": [str(root / "test")], "dev": None},
        "heads": {"dim": 16},
        "mining": {"relative_margin": 0.0, "num_negatives": 4},
    }
    for section, values in sections.items():
        document[section] = {**document.get(section, {}), **values}
    return parse_config(document, "test")


def search(
    run: str, query: str, k: int, dataset: str | None = None, workers: Workers | None = None
) -> list[Hit]:
    """The best pages of a finished run for one query; nobody encodes but `workers`."""
    retriever = Retriever.open(run, dataset=dataset, workers=workers or NoWorkers())
    return retriever.search([query], k)[0]
