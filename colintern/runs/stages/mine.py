"""The hard negatives that a round trains on, found with the heads of the round before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from colintern import storage
from colintern.config.schema import Config, MiningConfig
from colintern.records.lease import Held
from colintern.runs.stages.encode import training_stores
from colintern.runs.stages.inputs import held_out_inputs, judgement_inputs, split_inputs
from colintern.runs.stages.stage import Made, Stage
from colintern.runtime.resources import request_of

if TYPE_CHECKING:
    from colintern.features.catalog import Catalog
    from colintern.runs.opened import OpenedRun
    from colintern.runs.workers import Workers
    from colintern.runtime.work import OpenCorpus, Tell


@dataclass(frozen=True)
class Mine(Stage):
    """Searches the training pages and keeps the near misses of every query, for rounds from 2."""

    round_number: int
    workers_setting: ClassVar[str | None] = "cluster.mining_workers"
    first_round: ClassVar[int | None] = 2

    @property
    def name(self) -> str:
        """What its record is called."""
        return f"round-{self.round_number}-mine"

    @property
    def command(self) -> str:
        """The words after `colintern` that make it."""
        return f"mine --round {self.round_number}"

    def needs(self, config: Config) -> list[Stage]:
        """The stores, and the heads of the round before."""
        from colintern.runs.stages.train import trained_heads  # which needs this file

        return [
            *training_stores(config),
            trained_heads(self.round_number - 1),
        ]

    def settings(self, config: Config) -> dict[str, Any]:
        """The split, what people judge, and the rules."""
        mining = config.mining.as_inputs()
        return {
            **split_inputs(config),
            **judgement_inputs(config, config.data.train.name),
            **{f"mining.{key}": value for key, value in mining.items()},
        }

    def inputs(self, run: OpenedRun) -> dict[str, Any]:
        """All that it would be made from now."""
        return {
            **self.settings(run.config),
            **held_out_inputs(run),
            "heads_sha256": run.heads_hash(self.round_number - 1),
            "train_features_sha256": run.features_hash(run.config.data.train.name),
        }

    def make(self, run: OpenedRun, workers: Workers, held: Held) -> Made:
        """Mine where the corpus is searched; the triples are written there."""
        from colintern.runs.progress import say_mined, telling_queries

        inputs, number = self.inputs(run), self.round_number
        triples, mining = run.folder.triples(number), run.folder.mining(number)
        work = partial(
            mine_triples,
            heads_folder=run.folder.heads(number - 1),
            settings=run.config.mining,
            seed=run.config.run.seed,
            triples_path=triples,
            mining_path=mining,
            check=held.check,
        )
        request = request_of(self, run.config)
        with telling_queries("mine", number, "train") as show:
            document = workers.search(work, run.catalog, request, held, show)
        say_mined(number, document)
        return Made(inputs, run.folder.described([triples, mining]))


def mine_triples(
    catalog: Catalog,
    open_corpus: OpenCorpus,
    tell: Tell,
    *,
    heads_folder: str,
    settings: MiningConfig,
    seed: int,
    triples_path: str,
    mining_path: str,
    check: Callable[[], None],
) -> dict[str, Any]:
    """Mine the training set, and write the triples and `mining.json`.

    Args:
        catalog: where datasets are read from.
        open_corpus: gives the shards of a corpus, and its queries, embedded.
        tell: told how many queries are done.
        heads_folder: the heads to mine with.
        settings: the rules.
        seed: the run's.
        triples_path: where the triples go.
        mining_path: where the summary goes.
        check: called before anything is written; raises when it must not be.

    Returns:
        The content of `mining.json`.
    """
    from colintern.data.triples import writing_triples
    from colintern.mining.miner import Corpus, mine
    from colintern.model.heads import heads_sha256

    view, store = catalog.train()
    shards, queries = open_corpus(view, store, heads_folder)
    tell({"done": 0, "queries": len(queries)})
    with writing_triples(triples_path) as write:
        found = mine(
            Corpus.of(view, store.pages),
            shards,
            queries,
            settings,
            seed,
            write,
            on_progress=lambda done: tell({"done": done, "queries": len(queries)}),
        )
        check()
    document = {
        "settings": settings.model_dump(),
        "heads_sha256": heads_sha256(heads_folder),
        **found,
    }
    storage.write_json(mining_path, document)
    return document


def mines(config: Config, round_number: int) -> bool:
    """Whether a round trains on mined negatives."""
    return round_number > 1 and config.training.negatives_per_query > 0
