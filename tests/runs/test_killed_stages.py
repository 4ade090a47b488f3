"""A run that is killed before, inside and after each stage, in this process and without Ray.

`test_loop.py` does the same on a real Ray, `test_killed.py` with SIGKILL; both are slow.
"""

from pathlib import Path

from colintern import records
from colintern.runs import loop
from colintern.runs.runner import Runner
from tests.local_run import QuickWorkers, make_config


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the product catches it."""


def _files(run: Path) -> dict[str, bytes]:
    """What must not depend on kills; records, report and log hold times, `run.json` the name."""
    files = (path for path in (run.rglob("*")) if path.is_file())
    found = {path.relative_to(run).as_posix(): path.read_bytes() for path in files}
    told = ("records/", "report.html", "run.json", "log.txt")
    return {name: data for name, data in found.items() if not name.startswith(told)}


def test_a_run_that_is_killed_at_every_stage_ends_with_the_same_bytes(tmp_path, monkeypatch):
    """Work lost, done twice or mixed up by a kill between a stage's work and its record."""
    loop.run(make_config(tmp_path), QuickWorkers())
    undisturbed = tmp_path / "runs" / "run"
    killed: list[str] = []
    do, record_outputs = Runner.do, records.record_outputs

    def die_once(name: str) -> None:
        if name not in killed:
            killed.append(name)
            raise Killed

    def die_or_do(self, stage):
        die_once(f"before {stage.name}")
        return do(self, stage)

    def record_or_die(path, *arguments):
        die_once(f"after {path}")
        return record_outputs(path, *arguments)

    monkeypatch.setattr(Runner, "do", die_or_do)
    monkeypatch.setattr(records, "record_outputs", record_or_die)
    features = str(tmp_path / "other-features")
    config = make_config(tmp_path, run={"name": "killed"}, features={"root": features})
    starts, is_finished = 0, False
    while not is_finished:
        starts += 1
        try:
            loop.run(config, QuickWorkers())
            is_finished = True
        except Killed:
            assert starts < 40
    assert starts == len(killed) + 1
    assert len(killed) >= 2 * 13
    run = tmp_path / "runs" / "killed"
    assert _files(run).keys() == _files(undisturbed).keys()
    differ = {name for name, data in _files(run).items() if data != _files(undisturbed)[name]}
    assert differ == {f"round-{number}/heads/colintern.json" for number in range(3)}  # its stores
    found = [{path.name for path in (path / "records").iterdir()} for path in (run, undisturbed)]
    assert found[0] == found[1]
