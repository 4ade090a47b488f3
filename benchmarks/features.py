"""What each lever of a frozen backbone and of its store is worth: in quality, bytes and seconds.

`python benchmarks/features.py` trains the demo on other layers, on another attention, and on
features that are stored smaller. For each it prints nDCG@5 on the test set, as the mean of a
question over the seeds, with its 95 % interval over questions; the paired difference to the first
row; the bytes of the store for a page; and the seconds of encoding. A seed is one round: which
negatives a second one would mine is luck of its own, and the stores are the same for all seeds.

Every row and seed is a run under `--root`, in this process, without Ray. Rows share the stores that
they have in common. A finished run is read from its records, and one that was killed goes on.
`--quick` takes the demo in a tenth of its size; `--only NAME` some rows, compared with the first if
it is finished. A row that is refused says why, and the others go on.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import numpy as np
from numpy.typing import NDArray

from colintern import log, records, storage
from colintern.config.files import load_config
from colintern.config.schema import Config
from colintern.data.canonical import CanonicalDataset
from colintern.errors import ColInternError, one_line
from colintern.evaluation.decision import METRIC
from colintern.evaluation.evaluate import judged_again
from colintern.evaluation.significance import Interval, bootstrap_interval, paired_interval
from colintern.features.store import PAGES, RECORD
from colintern.model.heads import read_info
from colintern.records import Record
from colintern.records.run_folder import RunFolder
from colintern.runs import loop
from colintern.runs.local import LocalWorkers
from colintern.runs.stages import Encode

ROUND = 1
# Each row's name, and what it changes in the demo. The built-in reader has hidden states 0 to 3,
# which are 192 numbers wide, and 64 tokens a page. State 0 is what the LLM is given: the
# projector's output for a page, embeddings for a question.
ROWS = {
    "last-layer": [],
    "layer-2": ["backbone.layer=2"],
    "layer-1": ["backbone.layer=1"],
    "layer-0": ["backbone.layer=0"],
    "layers-3-2": ["backbone.layer=[3, 2]"],
    "layers-3-2-mixed": ["backbone.layer=[3, 2]", "heads.layer_mix=true"],
    "layers-3-2-1": ["backbone.layer=[3, 2, 1]"],
    "layers-3-2-1-mixed": ["backbone.layer=[3, 2, 1]", "heads.layer_mix=true"],
    "bidirectional": ["backbone.attention=bidirectional"],
    "bidirectional-layer-2": ["backbone.attention=bidirectional", "backbone.layer=2"],
    "float16": ["features.dtype=float16"],
    "int8": ["features.dtype=int8"],
    "pca-96": ["features.pca_dim=96"],
    "pca-48": ["features.pca_dim=48"],
    "pca-96-int8": ["features.pca_dim=96", "features.dtype=int8"],
    "merge-2": ["features.merge=2"],
    "most-32-tokens": ["features.max_tokens_per_page=32"],
    "most-16-tokens": ["features.max_tokens_per_page=16"],
}
FIRST = next(iter(ROWS))  # with which the others are compared
HEADER = (
    f"{'row':<23}{'nDCG@5 [95 % interval]':<26}{'minus the first row':<28}"
    f"{'bytes/page':>10}{'encode s':>10}"
)


@dataclass(frozen=True)
class Measured:
    """A finished row.

    Attributes:
        ndcg: nDCG@5 of every question of the test set, in the order of their ids; seeds' mean.
        bytes_per_page: of the test set's page shards, headers included.
        encode_seconds: of all its stores, when they were made.
        were_there: they were made before, by another row or by an earlier start.
    """

    ndcg: NDArray[np.float64]
    bytes_per_page: float
    encode_seconds: float
    were_there: bool


def main() -> None:
    """Run the rows that are not finished, and print the table."""
    arguments = _arguments()
    log.set_up()
    configs = partial(_configs, arguments)
    first: Measured | None = None
    print(HEADER, flush=True)
    for name in arguments.only or ROWS:
        try:
            found = measured(configs(name))
        except ColInternError as error:
            print(f"{name:<23}{one_line(error)}", flush=True)
            continue
        if name == FIRST:
            first = found
        elif first is None:
            first = _if_finished(configs(FIRST))
        print(_line(name, found, None if name == FIRST else first), flush=True)


def measured(configs: Sequence[Config]) -> Measured:
    """One row, run where it is not finished.

    Args:
        configs: of its seeds.
    """
    folders = [loop.run(config, LocalWorkers()) for config in configs]
    folder, data = folders[0], folders[0].read().config.data
    test, judgements = data.eval[0].name, CanonicalDataset(data.eval[0].path).judgements()
    results = (judged_again(one.results(ROUND, test), judgements) for one in folders)
    stores = read_info(folder.heads(ROUND)).stores
    made = {name: _record_at(storage.join(path, RECORD)) for name, path in stores.items()}
    shards = [one for one in made[test].outputs if one.path.startswith(f"{PAGES}/shard-")]
    num_pages = storage.read_json(folder.evaluation(ROUND, test))["num_pages"]
    began = _record_at(folder.record_path(Encode(data.train.name).name)).started_at
    return Measured(
        ndcg=np.mean([found.values[METRIC] for found in results], axis=0),
        bytes_per_page=sum(shard.bytes for shard in shards) / num_pages,
        encode_seconds=sum(map(_seconds, made.values())),
        were_there=any(record.finished_at < began for record in made.values()),
    )


def _configs(arguments: argparse.Namespace, name: str) -> list[Config]:
    root = storage.join(arguments.root, "quick") if arguments.quick else arguments.root
    file = "configs/tiny.yaml" if arguments.quick else "configs/demo.yaml"
    settings = [f"run.root={root}", f"loop.max_rounds={ROUND}", *ROWS[name], *arguments.settings]
    return [
        load_config(file, [f"run.name={name}-seed-{seed}", f"run.seed={seed}", *settings])
        for seed in range(arguments.seeds)
    ]


def _if_finished(configs: Sequence[Config]) -> Measured | None:
    is_finished = all(storage.exists(RunFolder(config.run_path).report) for config in configs)
    return measured(configs) if is_finished else None


def _line(name: str, row: Measured, first: Measured | None) -> str:
    gain = _with_ends(paired_interval(row.ndcg, first.ndcg), "+") if first else ""
    when = "  (made before)" if row.were_there else ""
    return (
        f"{name:<23}{_with_ends(bootstrap_interval(row.ndcg)):<26}{gain:<28}"
        f"{row.bytes_per_page:>10,.0f}{row.encode_seconds:>10.0f}{when}"
    )


def _with_ends(interval: Interval, sign: str = "") -> str:
    low, high = (f"{end:{sign}.4f}" for end in (interval.low, interval.high))
    return f"{interval.mean:{sign}.4f} [{low}, {high}]"


def _record_at(path: str) -> Record:
    record = records.read_record(path)
    if record is None:
        raise FileNotFoundError(path)
    return record


def _seconds(record: Record) -> float:
    began, ended = map(datetime.fromisoformat, (record.started_at, record.finished_at))
    return (ended - began).total_seconds()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The levers of a frozen backbone, on the demo.")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--root", default="runs/features-benchmark")
    parser.add_argument("--quick", action="store_true", help="the demo in a tenth of its size")
    parser.add_argument("--only", action="append", choices=ROWS, metavar="NAME")
    parser.add_argument("settings", nargs="*", help="a.b=c, for every row")
    return parser.parse_args()


if __name__ == "__main__":
    main()
