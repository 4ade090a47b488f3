"""The list of a run's stages: what it costs to add one, and which of them stand where."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from colintern import storage
from colintern.config.files import parse_config
from colintern.config.schema import Config
from colintern.errors import DriftError
from colintern.model import heads
from colintern.records import run_folder
from colintern.runs import loop, stages
from colintern.runs.stages import Made, Stage, Train, stages_of, untrained
from colintern.runs.status import status_lines
from tests.local_run import QuickWorkers, make_config


@dataclass(frozen=True)
class Toy(Stage):
    """Notes the hash of a round's heads: all that a new kind of stage has to say."""

    round_number: int
    first_round: ClassVar[int | None] = 1
    version: ClassVar[int] = 1

    @property
    def name(self) -> str:
        return f"round-{self.round_number}-toy"

    @property
    def command(self) -> str:
        return f"toy --round {self.round_number}"

    def needs(self, config: Config) -> list[Stage]:
        return [Train(self.round_number)]

    def inputs(self, run) -> dict:
        return {"heads": run.heads_hash(self.round_number), "version": self.version}

    def make(self, run, workers, held) -> Made:
        inputs, path = self.inputs(run), run.folder.file("toy", f"{self.round_number}.txt")
        held.check()
        storage.write_bytes(path, inputs["heads"].encode())
        return Made(inputs, run.folder.described([path]))


def test_a_new_kind_of_stage_is_a_class_and_a_line_in_the_list(tmp_path, monkeypatch):
    """A stage that the loop knows and status, drift, the report or a single command do not."""
    of_round = stages.stages_of_round

    def with_toy(config: Config, number: int) -> list[Stage]:
        return [*of_round(config, number), *([Toy(number)] if number else [])]

    monkeypatch.setattr(stages, "stages_of_round", with_toy)  # the line in the list
    config = make_config(tmp_path)
    folder = loop.run(config, QuickWorkers())
    written = Path(folder.file("toy", "2.txt"))
    assert written.read_text() == heads.heads_sha256(folder.heads(2))
    states = {line.split()[0]: line.split()[1] for line in status_lines(folder.path)}
    assert states["round-1-toy"] == states["round-2-toy"] == "done"
    report = storage.read_json(folder.record_path("report"))
    assert {"round-1-toy", "round-2-toy"} <= report["inputs"].keys()

    before = written.stat().st_mtime_ns
    loop.run(config, QuickWorkers())
    assert written.stat().st_mtime_ns == before
    storage.delete(folder.record_path("round-2-toy"))
    assert "missing" in next(line for line in status_lines(folder.path) if "round-2-toy" in line)
    loop.run_round(config, Toy, workers=QuickWorkers())
    assert storage.exists(folder.record_path("round-2-toy"))
    monkeypatch.setattr(Toy, "version", 2)
    with pytest.raises(DriftError, match=r"stage round-1-toy .*version: 1 -> 2"):
        loop.run(config, QuickWorkers())


def test_every_stage_stands_behind_what_it_is_made_from(tmp_path):
    """A loop that comes to a stage before there is what it needs; a stage that is listed twice."""
    own_dev = make_config(tmp_path, data={"dev": str(tmp_path / "test"), "eval": []})
    unmined = make_config(tmp_path, training={"negatives_per_query": 0})
    for config in (make_config(tmp_path), own_dev, unmined):
        listed = stages_of(config, 3)
        names = [stage.name for stage in listed]
        assert len(set(names)) == len(names) > 10
        for number, stage in enumerate(listed):
            assert set(stage.needs(config)) <= set(listed[:number]), stage.name
    assert not any("mine" in stage.name for stage in stages_of(unmined, 3))
    assert {"round-2-mine", "round-3-mine"} < {s.name for s in stages_of(make_config(tmp_path), 3)}


def test_the_files_of_heads_are_called_alike_everywhere():
    """A stage that records files under other names than those that are written."""
    assert run_folder.HEAD_FILES == (heads.WEIGHTS, heads.INFO)


def test_untrained_heads_of_half_a_start_are_made_again(tmp_path):
    """Heads that were never recorded taken for those of the settings."""
    config = make_config(tmp_path)
    whole = loop.run(config, QuickWorkers())
    half = make_config(tmp_path, run={"name": "half"})
    for name in run_folder.HEAD_FILES:
        wrong = storage.read_bytes(storage.join(whole.heads(1), name))
        storage.write_bytes(storage.join(half.run_path, "round-0", "heads", name), wrong)
    made = loop.run(half, QuickWorkers())
    assert heads.heads_sha256(made.heads(0)) == heads.heads_sha256(whole.heads(0))
    assert heads.heads_sha256(made.heads(0)) != heads.heads_sha256(whole.heads(1))


def test_given_heads_that_change_under_a_run_are_told(tmp_path):
    """`training.init_heads` that names the same folder with other heads in it."""
    whole = loop.run(make_config(tmp_path), QuickWorkers())
    given = tmp_path / "given"
    for name in run_folder.HEAD_FILES:
        storage.write_bytes(str(given / name), storage.read_bytes(f"{whole.heads(1)}/{name}"))
    config = make_config(tmp_path, run={"name": "from-heads"}, training={"init_heads": str(given)})
    loop.run(config, QuickWorkers())
    weights = run_folder.HEAD_FILES[0]
    storage.write_bytes(str(given / weights), storage.read_bytes(f"{whole.heads(2)}/{weights}"))
    with pytest.raises(DriftError, match=r"round-0-heads .*init_heads_sha256"):
        loop.run(config, QuickWorkers())


@pytest.mark.parametrize(
    ("heads", "is_told"),
    [
        ({"dim": 9}, True),
        ({"dim": 8}, False),
        ({"dim": 9, "kind": "mlp"}, False),
        ({"dim": 5, "layer_mix": True}, True),  # of two layers that stand side by side
        ({"dim": 4, "layer_mix": True}, False),
    ],
)
def test_numbers_that_a_projection_cannot_fill_are_told(caplog, heads, is_told):
    """A third more space for zeros."""
    caplog.set_level("INFO", "colintern")
    data, backbone = {"train": {"path": "x"}}, {"layer": [2, 1]}
    config = parse_config({"data": data, "backbone": backbone, "heads": heads}, "test")
    untrained._say_too_wide(config, 8)
    assert ("the others stay 0: heads.dim=" in caplog.text) == is_told
