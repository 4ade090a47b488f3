"""What stands around a stage: what has to come first, the lease, the record."""

import logging
from pathlib import Path

import pytest

from colintern import storage
from colintern.errors import LeaseHeldError, LeaseLostError, MissingStageError, UserError
from colintern.records.machine import Machine
from colintern.runs import loop
from colintern.runs.runner import open_run
from colintern.runs.stages import Encode, Evaluate, Mine, Train
from tests.local_run import QuickWorkers, make_config


def test_a_stage_needs_its_predecessor(tmp_path):
    """A stage that runs on nothing instead of naming the command that comes first."""
    config = make_config(tmp_path)
    with open_run(config, workers=QuickWorkers()) as runner:
        with pytest.raises(MissingStageError, match=r"encode-train is missing; .*colintern encode"):
            runner.do(Train(1))
        for name in runner.run.targets:
            assert runner.do(Encode(name))
        with pytest.raises(MissingStageError, match="colintern train --round 1"):
            runner.do(Mine(2))
        in_order = r"run first: colintern train --round 1 \S+ \S+, then colintern mine --round 2 "
        with pytest.raises(MissingStageError, match=in_order):
            runner.do(Train(2))
        assert runner.do(Train(1))  # and the untrained heads, which have no command of their own
        assert not runner.do(Train(1))
        with pytest.raises(MissingStageError, match="colintern mine --round 2"):
            runner.do(Train(2))
        assert storage.exists(runner.run.folder.record_path("round-0-heads"))


def test_what_comes_first_is_told_with_its_settings(tmp_path):
    """A command to be completed by hand, and after it the next refusal, once for every stage."""
    config, given = make_config(tmp_path, loop={"max_rounds": 3}), "--config my.yaml run.seed=3"
    with pytest.raises(MissingStageError) as told:
        loop.run_round(config, Mine, 3, QuickWorkers(), given)
    commands = ["encode", "train --round 1", "mine --round 2", "train --round 2"]
    in_order = ", then ".join(f"colintern {one} {given}" for one in commands)
    assert str(told.value).endswith(f"stage encode-train is missing; run first: {in_order}")


def test_single_stages_go_through_the_rounds(tmp_path):
    """`--round` left out: a stage done twice, or one that is not the first that is missing."""
    config, workers = make_config(tmp_path), QuickWorkers()
    with pytest.raises(MissingStageError, match="colintern encode"):
        loop.run_round(config, Train, None, workers)
    loop.encode(config, workers)
    for kind in (Evaluate, Train, Evaluate, Mine, Train, Evaluate):
        loop.run_round(config, kind, None, workers)
    assert workers.measured == [(number, name) for number in range(3) for name in ("dev", "test")]
    for kind, number in ((Train, 0), (Mine, 1)):
        with pytest.raises(UserError, match=rf"--round {number}: this stage begins with round"):
            loop.run_round(config, kind, number, workers)
    with pytest.raises(
        UserError, match=r"--round 9: the run ends with round \d \(loop.max_rounds\)"
    ):
        loop.run_round(config, Train, 9, workers)
    with pytest.raises(ValueError, match="Encode: is no stage of a round"):
        loop.run_round(config, Encode, None, workers)


def test_a_single_command_on_a_finished_run_says_that_it_is_done(tmp_path, caplog):
    """`evaluate` that asks for round 3 of a loop that has ended; `train` that says nothing."""
    caplog.set_level(logging.INFO, "colintern")
    config, workers = make_config(tmp_path, loop={"max_rounds": 2}), QuickWorkers()
    loop.run(config, workers)
    workers.measured.clear()
    for kind in (Train, Mine, Evaluate):
        caplog.clear()
        loop.run_round(config, kind, None, workers)
        assert "the rounds up to 2 are done; nothing to do" in caplog.text
        loop.run_round(config, kind, 2, workers)
        assert "round 2 is done; nothing to do" in caplog.text
    assert workers.measured == []


def test_a_start_says_where_it_goes_on(tmp_path, caplog):
    """Minutes of silence, in which nobody knows whether a run began anew."""
    caplog.set_level(logging.INFO, "colintern")
    config = make_config(tmp_path, loop={"max_rounds": 2})
    loop.encode(config, QuickWorkers())
    loop.run(config, QuickWorkers())
    assert "2 of 13 stages are done; continuing with round-0-heads" in caplog.text
    caplog.clear()
    loop.run(config, QuickWorkers())
    assert "continuing" not in caplog.text


def test_a_run_that_goes_on_on_another_machine_says_what_ran_where(tmp_path, monkeypatch):
    """Seconds of two machines told as one's; a run that cannot leave the machine it began on."""
    for number, cpus in ((1, 2), (2, 64)):
        machine = Machine("Linux x86_64", cpus, 8 * 10**9)
        monkeypatch.setattr("colintern.runs.local.machine_here", lambda machine=machine: machine)
        folder = loop.run(make_config(tmp_path, loop={"max_rounds": number}), QuickWorkers())
    for stage, cpus in (("encode-train", 2), ("round-1-train", 2), ("round-2-train", 64)):
        record = folder.record(stage)
        assert record is not None
        assert record.machine is not None
        assert record.machine.cpus == cpus
    page = Path(folder.report).read_text()
    assert "<li>On Linux x86_64, 2 CPUs, 8.0 GB of memory: encode-train, " in page
    assert "<li>On Linux x86_64, 64 CPUs, 8.0 GB of memory: round-2-mine, round-2-train, " in page


def test_a_second_driver_is_refused(tmp_path):
    """Two drivers on one run."""
    config = make_config(tmp_path)
    refused = pytest.raises(LeaseHeldError, match="another driver")
    with open_run(config, workers=QuickWorkers()), refused:
        loop.run(config, QuickWorkers())


def test_a_driver_that_was_taken_over_records_nothing(tmp_path):
    """The record of a driver that slept, over the work of the one that goes on."""
    config = make_config(tmp_path)
    loop.encode(config, QuickWorkers())
    with open_run(config, workers=QuickWorkers()) as runner:
        lease = storage.read_bytes(runner.held.path)
        storage.delete(runner.held.path)
        other = runner.held.path.replace("000001", "000002")
        storage.write_bytes(other, lease.replace(b'"owner": "', b'"owner": "another-'))
        assert other != runner.held.path
        for stage in (Train(1), Evaluate(0, "dev")):
            with pytest.raises(LeaseLostError):
                runner.do(stage)
            assert not storage.exists(runner.run.folder.record_path(stage.name))
        storage.delete(other)
