"""Is a plan right? Planned seconds of every stage beside those that a run has recorded.

`python -m benchmarks.plan --config configs/demo.yaml run.root=/tmp/planned` runs the demo in this
process, on one thread and without Ray, unless it is done there already; then it plans it for a CPU
with the rate that a large float32 matrix product reaches here (or `--teraflops`).

Seconds are those of the records; beside them stand the processor seconds of a run that is done now,
which other processes on the machine do not lengthen.
"""

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import torch

from colintern import log
from colintern.config.files import load_config
from colintern.config.schema import Config
from colintern.records.run_folder import RunFolder
from colintern.runs import loop
from colintern.runs.local import LocalWorkers
from colintern.runs.plan.machine import Prices, machine_of
from colintern.runs.plan.make import Wanted, make_plan
from colintern.runs.stages import Encode, stages_of


class TimedWorkers(LocalWorkers):
    """Measures the processor's time.

    Attributes:
        seconds: of each piece of work, in the order of the stages.
    """

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def encode(self, *arguments: Any, **keywords: Any) -> Any:
        """Encode all datasets."""
        return self._timed(super().encode, *arguments, **keywords)

    def train(self, *arguments: Any, **keywords: Any) -> None:
        """Train in a round."""
        self._timed(super().train, *arguments, **keywords)

    def search(self, *arguments: Any, **keywords: Any) -> Any:
        """Mine or evaluate."""
        return self._timed(super().search, *arguments, **keywords)

    def _timed(self, work: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        began = time.process_time()
        result = work(*arguments, **keywords)
        self.seconds.append(time.process_time() - began)
        return result


def matrix_teraflops() -> float:
    """What a large float32 matrix product reaches in this process, in 10**12 a second."""
    side = torch.rand(2_048, 2_048)
    seconds = []
    for _ in range(7):
        began = time.process_time()
        torch.mm(side, side)
        seconds.append(time.process_time() - began)
    return 2 * len(side) ** 3 / statistics.median(seconds) / 1e12


def recorded_seconds(config: Config) -> dict[str, float]:
    """Of every stage of a finished run, as the plan calls them."""
    folder = RunFolder(config.run_path)
    found: dict[str, float] = defaultdict(float)
    for stage in stages_of(config, config.loop.max_rounds):
        record = folder.record(stage.name)
        assert record is not None, stage.name
        began, ended = map(datetime.fromisoformat, (record.started_at, record.finished_at))
        name = "encode" if isinstance(stage, Encode) else stage.name
        found[name] += (ended - began).total_seconds()
    return found


def planned_seconds(config: Config, teraflops: float) -> Mapping[str, float]:
    """Of every stage, on one worker."""
    machine = machine_of("cpu", 1, cores_per_device=1, is_disk=True, teraflops=teraflops)
    plan = make_plan(config, Wanted(machine, Prices()))
    return {stage.name: stage.seconds for stage in plan.stages}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="configs/demo.yaml")
    parser.add_argument("--teraflops", type=float)
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    log.set_up()
    torch.set_num_threads(1)
    config = load_config(arguments.config, arguments.overrides)
    workers = TimedWorkers()
    loop.run(config, workers)
    teraflops = arguments.teraflops or matrix_teraflops()
    planned, recorded = planned_seconds(config, teraflops), recorded_seconds(config)
    is_new = len(workers.seconds) == len(planned)
    processor = workers.seconds if is_new else [float("nan")] * len(planned)
    rows = [
        (name, seconds, recorded[name], used)
        for (name, seconds), used in zip(planned.items(), processor, strict=True)
    ]
    totals = [sum(column) for column in zip(*(row[1:] for row in rows), strict=True)]
    print(f"{teraflops:.3f} TFLOP/s")
    print(f"{'stage':<28}  planned s  recorded s  ratio  processor s  ratio")
    for name, seconds, wall, used in (*rows, ("all", *totals)):
        print(
            f"{name:<28}  {seconds:>9.1f}  {wall:>10.1f}  {seconds / wall:>5.2f}  "
            f"{used:>11.1f}  {seconds / used:>5.2f}"
        )


if __name__ == "__main__":
    main()
