"""Do mined negatives make the demo better? Against the same number of steps without them.

`python benchmarks/demo.py --seeds 3` prints nDCG@5 on the test set for every seed: untrained,
round 1, round 2 with mined negatives, round 2 without (the same steps), and round 2 without in
equal time (more epochs); then the mean differences with paired 95 % bootstrap intervals over the
pooled queries. In one process, without Ray: the library's own stages on the demo's own data.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from colintern import log, storage
from colintern.config.files import load_config
from colintern.config.schema import Config
from colintern.data.resolve import with_datasets
from colintern.evaluation.evaluate import evaluate
from colintern.evaluation.metrics import per_query_metrics, ranking_of
from colintern.evaluation.significance import paired_interval
from colintern.model.backbone import read_identity
from colintern.model.heads import init_heads, save_heads
from colintern.runs.local import LocalWorkers, open_corpus
from colintern.runs.opened import OpenedRun
from colintern.runs.stages.mine import mine_triples
from colintern.training.loop import RoundTask, open_round, train_round
from colintern.training.worker import Worker

Values = NDArray[np.float64]
METRIC = "ndcg_at_5"


def encoded(config: Config) -> OpenedRun:
    """The demo's data and features, made here if they are not there yet."""
    config = with_datasets(config)
    run = OpenedRun(config, read_identity(config.backbone))
    missing = [target for target in run.targets.values() if not target.is_finished()]
    LocalWorkers().encode(missing, run.backbone, config)
    return run


@dataclass(frozen=True)
class Bench:
    """One seed at work in a folder."""

    run: OpenedRun
    seed: int
    folder: str

    def untrained(self) -> str:
        """Fresh heads; returns their folder."""
        path = storage.join(self.folder, "round-0")
        config, width = self.run.config, self.run.codec.width
        heads = init_heads(config.heads, width, self.seed, config.backbone.num_layers)
        save_heads(heads, path, self.run.heads_info)
        return path

    def trained(
        self, round_number: int, first: str, name: str, triples: str | None, epochs: int
    ) -> tuple[str, float]:
        """Train a round; returns the folder of its heads, and the seconds."""
        path = storage.join(self.folder, name)
        task = RoundTask(
            round_number=round_number,
            seed=self.seed,
            catalog=self.run.catalog,
            training=self.run.config.training.model_copy(update={"epochs": (epochs,)}),
            first_heads=first,
            triples=triples,
            info=self.run.heads_info,
            heads_folder=path,
            log_path=storage.join(path, "log.jsonl"),
        )
        began = time.monotonic()
        train_round(task, open_round(task), Worker(), lambda _: None)
        return path, time.monotonic() - began

    def mined(self, heads_folder: str) -> tuple[str, float]:
        """Mine with a round's heads; returns the path of the triples, and the seconds."""
        began = time.monotonic()
        path = storage.join(self.folder, "triples.jsonl")
        mine_triples(
            self.run.catalog,
            open_corpus,
            lambda _: None,
            heads_folder=heads_folder,
            settings=self.run.config.mining,
            seed=self.seed,
            triples_path=path,
            mining_path=storage.join(self.folder, "mining.json"),
            check=lambda: None,
        )
        return path, time.monotonic() - began

    def measured(self, heads_folder: str, dataset: str) -> tuple[Values, dict[str, Values]]:
        """nDCG@5 of every query of a dataset; by kind of query too."""
        view, store = self.run.catalog.evaluated(dataset)
        shards, queries = open_corpus(view, store, heads_folder)
        results: list[pa.Table] = []
        evaluate(
            view,
            shards,
            queries,
            self.run.config.evaluation,
            round_number=0,
            seed=self.seed,
            write=results.append,
            on_progress=lambda _: None,
        )
        found = per_query_metrics(ranking_of(pa.concat_tables(results)), view.judgements)
        values = np.asarray(found.values[METRIC])
        source = {query.query_id: query.source or "" for query in view.judged}
        kinds = np.array([source[query_id] for query_id in found.query_ids.to_pylist()])
        return values, {str(kind): values[kinds == kind] for kind in sorted(set(kinds))}


def compare(bench: Bench, dataset: str) -> dict[str, tuple[Values, dict[str, Values]]]:
    """All rows of the table for one seed."""
    first_epochs, second_epochs = (
        bench.run.config.training.epochs_of_round(number) for number in (1, 2)
    )
    zero = bench.untrained()
    one, _ = bench.trained(1, zero, "round-1", None, first_epochs)
    triples, mining_seconds = bench.mined(one)
    two, seconds = bench.trained(2, one, "round-2", triples, second_epochs)
    control, control_seconds = bench.trained(2, one, "control", None, second_epochs)
    longer = round(second_epochs * (mining_seconds + seconds) / control_seconds)
    equal_time, _ = bench.trained(2, one, "equal-time", None, longer)
    folders = {
        "untrained": zero,
        "round 1": one,
        "round 2, mined": two,
        "round 2, control": control,
        f"round 2, equal time ({longer} epochs)": equal_time,
    }
    return {name: bench.measured(folder, dataset) for name, folder in folders.items()}


def main() -> None:
    """Run the seeds and print the table."""
    parser = argparse.ArgumentParser(description="Mined negatives against none, over seeds.")
    parser.add_argument("--config", default="configs/demo.yaml")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", default="runs/bench-demo")
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    log.set_up()
    torch.set_num_threads(2)
    run = encoded(load_config(arguments.config, arguments.overrides))
    dataset = run.config.data.eval[0].name
    rows: list[dict[str, tuple[Values, dict[str, Values]]]] = []
    for seed in range(arguments.seeds):
        folder = str(Path(arguments.folder).absolute() / f"seed-{seed}")
        began = time.monotonic()
        rows.append(compare(Bench(run, seed, folder), dataset))
        log.say("bench", "seed %d took %.0f s", seed, time.monotonic() - began)
        _print_seed(seed, rows[-1])
    _print_pooled(rows)


def _print_seed(seed: int, row: dict[str, tuple[Values, dict[str, Values]]]) -> None:
    for name, (values, kinds) in row.items():
        parts = "  ".join(f"{kind} {part.mean():.3f}" for kind, part in kinds.items())
        print(f"seed {seed}  {name:<36} {values.mean():.4f}   {parts}")


def _print_pooled(rows: list[dict[str, tuple[Values, dict[str, Values]]]]) -> None:
    """Columns are known by their index: the last one's epochs may differ between seeds."""
    columns = [[values for values, _ in row.values()] for row in rows]
    names = list(rows[0])
    print()
    for index, name in enumerate(names):
        means = [float(column[index].mean()) for column in columns]
        print(f"{name:<36} mean {np.mean(means):.4f}   std over seeds {np.std(means):.4f}")
    mined = np.concatenate([column[2] for column in columns])
    for index in (1, 3, 4):
        other = np.concatenate([column[index] for column in columns])
        gain = paired_interval(mined, other)
        print(
            f"mined minus {names[index]:<36} {gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
        )


if __name__ == "__main__":
    main()
