"""A dataset that grows between runs: encoded for what is new, told, and gone on with."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from colintern import storage
from colintern.config.schema import Config
from colintern.data.canonical import CanonicalDataset
from colintern.errors import CheckpointError, ColInternError, DriftError
from colintern.evaluation.results import read_results
from colintern.features.plan import StoreTarget
from colintern.ingestion import IngestSettings, ingest
from colintern.ingestion.pool import Processes
from colintern.model.backbone import BackboneIdentity, FrozenBackbone
from colintern.model.heads import heads_sha256
from colintern.records import Record
from colintern.records.lease import Held
from colintern.records.run_folder import RunFolder
from colintern.runs import loop
from colintern.runs.continuing import continued_config, say_where_it_starts
from colintern.runs.stages.report import write_report
from colintern.runs.status import table_lines
from colintern.runtime.resources import Request
from colintern.runtime.work import Tell
from colintern.training.loop import RoundTask
from tests.helpers import png
from tests.local_run import BACKBONE, NoWorkers, QuickWorkers, make_config


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch) -> None:
    """Starting a worker of ingest takes about two seconds."""
    monkeypatch.setattr(Processes, "each", lambda _, do, work, __: ((one, do(one)) for one in work))


@pytest.fixture
def encoded(monkeypatch) -> dict[str, int]:
    """How many pages and queries went through the backbone."""
    counts = {"encode_tiles": 0, "encode_queries": 0}
    for name in counts:
        original = getattr(FrozenBackbone, name)

        def counting(self, items, *args, _name=name, _original=original, **keys):
            counts[_name] += len(items)
            return _original(self, items, *args, **keys)

        monkeypatch.setattr(FrozenBackbone, name, counting)
    return counts


def _ingest(root: Path, num_pages: int, num_questions: int, **settings: Any) -> None:
    """A dataset `train` of pictures in `in`, with questions about the first of them."""
    (root / "in").mkdir(exist_ok=True)
    for number in range(num_pages):
        path = root / "in" / f"{number:02d}.png"
        if not path.exists():
            path.write_bytes(png(number + 1))
    rows = [f"question {number},{number:02d}.png" for number in range(num_questions)]
    (root / "q.csv").write_text("\n".join(["query,file", *rows]) + "\n")
    chosen = IngestSettings(queries=str(root / "q.csv"), **settings)
    ingest([str(root / "in")], str(root / "train"), chosen)


def _config(root: Path, **sections: Mapping[str, Any]) -> Config:
    return make_config(root, data={"eval": []}, **sections)


def _shards(root: Path) -> dict[str, tuple[bytes, int]]:
    files = (root / "runs" / "features").rglob("shard-*")
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_a_grown_dataset_is_encoded_for_what_is_new_and_gone_on_with(tmp_path, encoded, caplog):
    """A corpus that is encoded again for twelve new pages, or a refusal without a way on."""
    _ingest(tmp_path, 20, 20)
    first = loop.run(_config(tmp_path), QuickWorkers())
    assert encoded == {"encode_tiles": 20, "encode_queries": 20}
    before = _shards(tmp_path)
    _ingest(tmp_path, 32, 23)
    told = (
        rf"{first.path}: the dataset train \({tmp_path}/train\) has gained 12 pages and 3 questions"
        rf" since this run began; .*colintern run --continue-from {first.path} run\.name=NEW"
    )
    with pytest.raises(DriftError, match=told):
        loop.run(_config(tmp_path), NoWorkers())
    config = continued_config(first.path, None, ["run.name=new"])
    with caplog.at_level("INFO", "colintern"):
        say_where_it_starts(config)
    best = storage.read_json(first.loop_json)["best_round"]
    start = rf"starts from round {best} of {first.path} \(dev nDCG@5 \d\.\d{{3}}\)"
    assert re.search(start, caplog.text)
    new = loop.run(config, QuickWorkers())
    assert encoded == {"encode_tiles": 32, "encode_queries": 23}
    after = _shards(tmp_path)
    assert {path: after[path] for path in before} == before
    assert len(after) == len(before) + 2
    assert heads_sha256(new.heads(0)) == heads_sha256(first.heads(best))
    assert storage.read_json(new.evaluation(0, "dev"))["num_pages"] == 32
    rows = [line for line in table_lines(new.path) if f"start: round {best} of run" in line]
    assert len(rows) == 1
    page = storage.read_bytes(write_report(new.read().config, new)).decode()
    assert f'<th scope="row">start: round {best} of run</th>' in page
    assert "untrained" not in page


def test_the_same_command_goes_on_with_the_new_run(tmp_path):
    """Another start than the one that the new run has recorded, when the first got more rounds."""
    _ingest(tmp_path, 20, 20)
    first = loop.run(_config(tmp_path, loop={"max_rounds": 1}), QuickWorkers())
    new = loop.run(continued_config(first.path, None, ["run.name=new"]), QuickWorkers())
    document = storage.read_json(first.loop_json)
    storage.write_json(first.loop_json, {**document, "best_round": 2})
    again = continued_config(first.path, None, ["run.name=new"])
    assert again.training.init_heads == first.heads(1)
    loop.run(again, NoWorkers())
    assert continued_config(first.path, None, ["run.name=third"]).training.init_heads != (
        first.heads(1)
    )
    chained = continued_config(new.path, None, ["run.name=third"])
    assert chained.training.init_heads == new.heads(1)


def _refused(run_path: str, *overrides: str) -> str:
    with pytest.raises(ColInternError) as caught:
        continued_config(run_path, None, overrides)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_what_cannot_be_gone_on_with_is_told(tmp_path):
    """A run written over by the one that goes on from it, or mixed with another one."""
    _ingest(tmp_path, 20, 20)
    first = loop.run(_config(tmp_path, loop={"max_rounds": 1}), QuickWorkers())
    loop.encode(_config(tmp_path, run={"name": "other"}), QuickWorkers())
    for overrides in ([], ["run.name=run"]):
        assert "needs a name of its own: run.name=NEW" in _refused(first.path, *overrides)
    assert "started from untrained heads; choose another" in _refused(first.path, "run.name=other")
    other = RunFolder(str(tmp_path / "runs" / "other")).path
    assert "has no finished round to go on from" in _refused(other, "run.name=new")
    told = _refused(first.path, "run.name=new", f"training.init_heads={first.heads(1)}")
    assert "remove it, as --continue-from" in told
    misfits = {
        "heads.dim=8": r"made for heads\.dim=16, not 8",
        "backbone.layer=0": r"made for backbone\.layer=-1, not 0",
    }
    for override, words in misfits.items():
        config = continued_config(first.path, None, ["run.name=new", override])
        with pytest.raises(CheckpointError, match=words):
            loop.run(config, NoWorkers())
    (tmp_path / "c.yaml").write_text("data: {train: nowhere}\nrun: {name: run, root: elsewhere}")
    config = continued_config(first.path, str(tmp_path / "c.yaml"), ["run.name=mine"])
    assert (config.data.train.path, config.training.init_heads) == ("nowhere", first.heads(1))


def test_heads_of_another_backbone_are_refused(tmp_path, monkeypatch):
    """Heads that fit by their width alone, and mean nothing over other features."""
    _ingest(tmp_path, 20, 20)
    first = loop.run(_config(tmp_path, loop={"max_rounds": 1}), QuickWorkers())
    other = tmp_path / "backbone"
    other.mkdir()
    for path in BACKBONE.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    weights = other / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-2] ^= 1  # a mantissa bit
    weights.write_bytes(data)
    config = continued_config(first.path, None, ["run.name=new", f"backbone.path={other}"])
    with pytest.raises(CheckpointError, match=r"another backbone than backbone\.path=.*/backbone"):
        loop.run(config, NoWorkers())


@pytest.mark.parametrize("is_early", [False, True])
def test_dev_questions_that_the_first_run_was_trained_on_are_told(tmp_path, caplog, is_early):
    """A dev set that moves as the data grow, and a start that knows its answers, without a word.

    An end of the new run where the first one is of a version whose records had no inputs.
    """

    def dev_of(folder: RunFolder) -> set[str]:
        return set(read_results(folder.results(0, "dev"))["query_id"].to_pylist())

    _ingest(tmp_path, 20, 20)
    first = loop.run(_config(tmp_path, loop={"max_rounds": 1}), QuickWorkers())
    asked = {query.query_id for query in CanonicalDataset(str(tmp_path / "train")).queries()}
    if is_early:
        record = first.record_path("encode-train")
        storage.write_json(record, {**storage.read_json(record), "inputs": {}})
    _ingest(tmp_path, 24, 24)
    settings = ["run.name=new", "data.dev_fraction=0.4"]
    with caplog.at_level("INFO", "colintern"):
        new = loop.run(continued_config(first.path, None, settings), QuickWorkers())
    moved = dev_of(new) & (asked - dev_of(first))
    assert moved
    assert f"dev: {len(moved)} of its questions were trained on" in caplog.text


def _judge_another(root: Path) -> None:
    text = (root / "q.csv").read_text() + "question 1,05.png\n"
    (root / "q.csv").write_text(text)
    settings = IngestSettings(queries=str(root / "q.csv"))
    ingest([str(root / "in")], str(root / "train"), settings)


def _drop_a_page(root: Path) -> None:
    (root / "in" / "19.png").unlink()
    settings = IngestSettings(replace=True)
    ingest([str(root / "in")], str(root / "train"), settings)


def _change_a_page(root: Path) -> None:
    (root / "in" / "19.png").write_bytes(png(400, 40, 40))
    _ingest(root, 21, 20, replace=True)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda root: _ingest(root, 21, 20), "gained 1 page since"),
        (lambda root: _ingest(root, 20, 19, replace=True), "lost 1 question since"),
        (_judge_another, "other judgements since"),
        (_drop_a_page, "lost 1 page and 1 question since"),
        (_change_a_page, "gained 1 page, other images for 1 page since"),
    ],
)
def test_every_change_of_a_dataset_is_told_as_what_it_is(tmp_path, change, told):
    """Two hashes that differ, from which nobody learns what has become of the dataset."""
    _ingest(tmp_path, 20, 20)
    first = loop.run(_config(tmp_path, loop={"max_rounds": 1}), QuickWorkers())
    change(tmp_path)
    with pytest.raises(DriftError, match=rf"^[^\n]*train\) has {told} this run began; to go on"):
        loop.run(_config(tmp_path, loop={"max_rounds": 1}), NoWorkers())
    config = continued_config(first.path, None, ["run.name=new"])
    assert loop.run(config, QuickWorkers()).read().config.run.name == "new"


def test_a_run_goes_on_while_its_dataset_grows(tmp_path):
    """Days of encoding refused at the end because of one new page, or a round that stops."""
    _ingest(tmp_path, 20, 20)

    class Growing(QuickWorkers):
        """Pages and questions come while the first dataset is encoded and trained on."""

        def encode(
            self, targets: Sequence[StoreTarget], backbone: BackboneIdentity, config: Config
        ) -> dict[str, Record]:
            _ingest(tmp_path, 23, 22)
            return super().encode(targets, backbone, config)

        def train(self, task: RoundTask, request: Request, held: Held, show: Tell) -> None:
            super().train(task, request, held, show)
            _ingest(tmp_path, 26, 24)

    folder = loop.run(_config(tmp_path), Growing())
    assert storage.read_json(folder.evaluation(2, "dev"))["num_pages"] == 20
    with pytest.raises(DriftError, match="gained 6 pages and 4 questions"):
        loop.run(_config(tmp_path), NoWorkers())
