"""People's answers about mined pages (`data.judgements`) count in a run."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from colintern import storage
from colintern.config.schema import Config
from colintern.data.triples import Triple, read_triples
from colintern.errors import DatasetError, DriftError, UserError
from colintern.records.run_folder import RunFolder
from colintern.retrieval.task_results import write_task_results
from colintern.runs import loop
from colintern.runs.cleaning import find_unused
from colintern.runs.compare.make import compare
from colintern.runs.compare.measured import NotComparableError
from colintern.runs.continuing import continued_config
from colintern.runs.runner import open_run
from colintern.runs.stages import Evaluate
from colintern.runs.stages.report import write_report
from colintern.runs.status import status_lines
from colintern.runs.unchanged import dataset_states, is_unchanged, note_complete
from tests.helpers import make_corpus, pairs_of
from tests.local_run import NoWorkers, QuickWorkers, make_config

Pairs = set[tuple[str, str]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A root with datasets and one finished run, without judgements of people."""
    root = tmp_path_factory.mktemp("finished")
    loop.run(make_config(root), QuickWorkers())
    return root


@pytest.fixture
def root(finished, tmp_path) -> Path:
    """A copy of it."""
    shutil.copytree(finished, tmp_path / "root")
    return tmp_path / "root"


def _written(path: Path, dataset: str, pairs: Iterable[tuple[str, str]], score: int = 1) -> str:
    """A file that says so much of some pairs, after what it says already."""
    with path.open("a") as file:
        for query_id, page_id in pairs:
            said = {"dataset": dataset, "query_id": query_id, "page_id": page_id, "score": score}
            file.write(f"{json.dumps(said)}\n")
    return str(path)


def _config(root: Path, judgements: str | None, **sections: Any) -> Config:
    data = {"judgements": judgements, **sections.pop("data", {})}
    return make_config(root, data=data, **sections)


def _triples(folder: RunFolder) -> dict[str, Triple]:
    return {triple.query_id: triple for triple in read_triples(folder.triples(2))}


def _negatives(folder: RunFolder) -> Pairs:
    return {(query, page) for query, own in _triples(folder).items() for page in own.negs}


def _records(folder: RunFolder) -> dict[str, Any]:
    paths = Path(folder.path, "records").glob("*.json")
    found = {path.stem: json.loads(path.read_text()) for path in paths}
    return {name: found[name] for name in sorted(found)}


def test_twenty_false_negatives_are_gone_in_the_next_mining(root):
    """Pages that people found to be right, and that the heads are taught to push away."""
    first = RunFolder(make_config(root).run_path)
    judged = set(
        sorted((query, own.negs[0]) for query, own in _triples(first).items() if own.negs)[:20]
    )
    assert len(judged) == 20
    path = _written(root / "answers.jsonl", "train", sorted(judged))
    config = continued_config(first.path, None, ["run.name=new", f"data.judgements={path}"])
    new = loop.run(config, QuickWorkers())
    # Random heads of a round are the same in every run: without the answers it mines just this.
    assert storage.read_json(new.loop_json)["rounds"][-1]["round"] == 2
    before, after = _triples(first), _triples(new)
    assert judged <= _negatives(first)
    assert not judged & _negatives(new)
    assert all(page in after[query].pos for query, page in judged)
    others = after.keys() - {query for query, _ in judged}
    assert len(others) > 5
    assert all(after[query] == before[query] for query in others)
    with open_run(config, workers=NoWorkers()) as runner:
        view, _ = runner.run.catalog.train()
        assert judged <= set(pairs_of(view))  # training examples, and masked in their batches


def test_a_right_page_that_is_judged_wrong_is_not_trained_on(root):
    """A mistake in a dataset that everybody sees and nobody can take out."""
    first = RunFolder(make_config(root).run_path)
    query, triple = next(iter(_triples(first).items()))
    (right,) = triple.pos
    path = _written(root / "answers.jsonl", "train", [(query, triple.negs[1])])
    _written(Path(path), "train", [(query, triple.negs[0]), (query, right)], score=0)
    new = loop.run(_config(root, path, run={"name": "new"}), QuickWorkers())
    after = _triples(new)[query]
    assert after.pos == [triple.negs[1]]
    with open_run(_config(root, path, run={"name": "new"}), workers=NoWorkers()) as runner:
        assert (query, right) not in pairs_of(runner.run.catalog.train()[0])


def test_answers_about_a_recorded_run_are_refused_with_the_way_to_go_on(root):
    """Answers that change nothing, and nobody is told; or a run that is made of two kinds."""
    config = make_config(root)
    first = RunFolder(config.run_path)
    before = {path: path.read_bytes() for path in Path(first.path).rglob("*.json")}
    negative = sorted(_negatives(first))[0]
    path = _written(root / "answers.jsonl", "train", [negative])
    with pytest.raises(DriftError) as caught:
        loop.run(_config(root, path), NoWorkers())
    assert str(caught.value) == (
        f"data.judgements={path}: stage round-0-evaluate-dev of {first.path} is made from other "
        "judgements; set data.judgements=null back, or to go on from its best heads with these "
        f"judgements: colintern run --continue-from {first.path} run.name=NEW "
        f"data.judgements={path}"
    )
    assert {path: path.read_bytes() for path in Path(first.path).rglob("*.json")} == before
    new = loop.run(
        continued_config(first.path, None, ["run.name=NEW", f"data.judgements={path}"]),
        QuickWorkers(),
    )
    assert negative not in _negatives(new)
    # Of the new run the answers are a part: another one, or none, is refused as well.
    heads = new.read().config.training.init_heads
    settings: dict[str, Any] = {"run": {"name": "NEW"}, "training": {"init_heads": heads}}
    loop.run(_config(root, path, **settings), NoWorkers())
    kept = new.read().config.data.judgements
    _written(root / "answers.jsonl", "train", [negative], score=0)
    for judgements, told in ((path, path), (None, "null")):
        with pytest.raises(DriftError, match=rf"^data\.judgements={told}: .*={kept} back, or to"):
            loop.run(_config(root, judgements, **settings), NoWorkers())
    loop.run(_config(root, kept, **settings), NoWorkers())


def test_a_drift_is_told_while_the_features_are_gone(root):
    """A corpus encoded for hours, and then the refusal of an answer."""
    first = RunFolder(make_config(root).run_path)
    path = _written(root / "answers.jsonl", "train", sorted(_negatives(first))[:1])
    shutil.rmtree(root / "runs" / "features")
    with pytest.raises(DriftError, match=r"^data\.judgements="):
        loop.run(_config(root, path), NoWorkers())


def test_a_run_that_has_no_round_yet_is_told_to_take_another_name(root):
    """A remedy that is refused too: there are no best heads to go on from."""
    config = _config(root, None, run={"name": "begun"})
    loop.encode(config, QuickWorkers())
    loop.run_round(config, Evaluate, 0, QuickWorkers())
    first = RunFolder(make_config(root).run_path)
    path = _written(root / "answers.jsonl", "train", sorted(_negatives(first))[:1])
    with pytest.raises(DriftError, match=r"=null back, or choose another run\.name$"):
        loop.run(_config(root, path, run={"name": "begun"}), NoWorkers())


def test_answers_about_a_test_set_change_its_results_only(root):
    """A run that is trained again, or refused, for what it never learns from."""
    config = make_config(root)
    folder = RunFolder(config.run_path)
    before, heads = _records(folder), storage.read_bytes(folder.head_files(2)[0])
    results = storage.read_bytes(folder.results(2, "test"))
    measured = storage.read_json(folder.evaluation(2, "test"))
    found = [("q000", f"p{number:03d}") for number in range(6)]
    path = _written(root / "answers.jsonl", "test", found)
    workers = QuickWorkers()
    loop.run(_config(root, path), workers)
    assert workers.measured == [(number, "test") for number in range(3)]
    document = storage.read_json(folder.evaluation(2, "test"))
    assert document["added_judgements"] == 6
    assert document["metrics"] != measured["metrics"]
    assert storage.read_bytes(folder.results(2, "test")) == results
    assert storage.read_bytes(folder.head_files(2)[0]) == heads
    after = _records(folder)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {f"round-{number}-evaluate-test" for number in range(3)} | {"report"}
    loop.run(_config(root, path), NoWorkers())
    assert not any("out of date" in line for line in status_lines(folder.path))
    assert len(compare([f"{folder.path}@0", f"{folder.path}@2"]).datasets) == 2
    loop.run(config, workers)  # taken back: as it was
    assert storage.read_json(folder.evaluation(2, "test")) == measured
    told = _records(folder)["round-2-evaluate-test"]
    assert told["fingerprint"] == before["round-2-evaluate-test"]["fingerprint"]


def test_metrics_of_other_answers_are_not_compared(root):
    """New answers beside the figures of the old ones, as a run was killed before it measured."""
    run = make_config(root).run_path
    path = _written(root / "answers.jsonl", "test", [("q000", "p005")])
    with open_run(_config(root, path), workers=NoWorkers()):
        pass
    for marks in (("@0", "@1"), ("@1", "@0")):
        with pytest.raises(NotComparableError, match=r"run@[01]: test was measured with other ans"):
            compare([f"{run}{mark}" for mark in marks])
    loop.run(_config(root, path), QuickWorkers())
    assert len(compare([f"{run}@0", f"{run}@1"]).datasets) == 2


def test_a_run_without_answers_about_it_keeps_its_fingerprints(root):
    """All runs of earlier versions refused for a key that they do not use."""
    first = RunFolder(make_config(root).run_path)
    path = _written(root / "answers.jsonl", "test", [("q000", "p005")])
    new = loop.run(_config(root, path, run={"name": "new"}), QuickWorkers())
    ours, theirs = _records(first), _records(new)
    assert ours.keys() == theirs.keys()
    for name in ours.keys() - {"report"}:
        is_equal = ours[name]["fingerprint"] == theirs[name]["fingerprint"]
        assert is_equal == ("evaluate-test" not in name), name
        assert not [key for key in ours[name]["inputs"] if "judge" in key]


def test_answers_about_a_dev_set_of_its_own_are_no_input_of_training(root):
    """Heads that are trained again for an answer about dev that holds no page out."""
    make_corpus(root / "dev", num_pages=6, num_queries=6, first_picture=500)
    path = _written(root / "answers.jsonl", "dev", [("q000", "p004")])
    data = {"dev": str(root / "dev")}
    plain = loop.run(make_config(root, data=data, run={"name": "plain"}), QuickWorkers())
    judged = loop.run(_config(root, path, data=data, run={"name": "judged"}), QuickWorkers())
    ours, theirs = _records(plain), _records(judged)
    differing = {
        name for name in ours if ours[name]["fingerprint"] != theirs[name]["fingerprint"]
    } - {"report"}
    assert differing == {f"round-{number}-evaluate-dev" for number in range(3)}
    with pytest.raises(DriftError, match=r"^data\.judgements=.*round-0-evaluate-dev"):
        loop.run(_config(root, path, data=data, run={"name": "plain"}), NoWorkers())


def test_an_answer_that_makes_a_page_right_for_dev_holds_it_out(root):
    """A page that is learned in training and then asked for in dev: the stop rule is flattered."""
    first = RunFolder(make_config(root).run_path)
    with open_run(make_config(root), workers=NoWorkers()) as runner:
        train, _ = runner.run.catalog.train()
        dev, _ = runner.run.catalog.evaluated("dev")
        trained, asked = train.page_ids().to_pylist(), dev.query_ids.to_pylist()
    path = _written(root / "answers.jsonl", "train", [(asked[0], trained[-1])])
    new = loop.run(_config(root, path, run={"name": "new"}), QuickWorkers())
    with open_run(_config(root, path, run={"name": "new"}), workers=NoWorkers()) as runner:
        view, _ = runner.run.catalog.train()
        assert view.page_ids().to_pylist() == trained[:-1]
        assert trained[-1] in runner.run.catalog.evaluated("dev")[0].judgements[asked[0]]
    seen = {page for own in _triples(new).values() for page in [*own.pos, *own.negs]}
    assert trained[-1] in {page for own in _triples(first).values() for page in own.negs + own.pos}
    assert trained[-1] not in seen


def test_the_answers_of_a_run_are_kept_with_it(root, tmp_path):
    """A report, a comparison or the next run without the answers, as the file was cleaned up."""
    first = RunFolder(make_config(root).run_path)
    path = _written(root / "answers.jsonl", "train", sorted(_negatives(first))[:3])
    _written(Path(path), "test", [("q000", "p005")])
    config = _config(root, path, run={"name": "new"})
    loop.run(config, QuickWorkers())
    Path(path).unlink()
    (root / "runs").rename(tmp_path / "moved")
    moved = RunFolder(str(tmp_path / "moved" / "new"))
    kept = moved.read().config.data.judgements
    assert kept is not None
    assert Path(kept).parent == tmp_path / "moved" / "datasets"
    assert find_unused(str(tmp_path / "moved")).unknown == []
    write_report(moved.read().config, moved)
    assert len(compare([f"{moved.path}@1", f"{moved.path}@2"]).datasets) == 2
    again = continued_config(moved.path, None, ["run.name=third", "loop.max_rounds=1"])
    third = loop.run(again, QuickWorkers())
    assert storage.read_json(third.evaluation(0, "test"))["added_judgements"] == 1
    with pytest.raises(UserError, match=r"--mteb: data\.judgements of .* changes what is right in"):
        write_task_results(moved.path, str(tmp_path / "out"))


def test_a_changed_file_is_seen_at_once(root):
    """A complete run that says that nothing is to be done, whatever people have answered."""
    path = _written(root / "answers.jsonl", "test", [("q000", "p005")])
    config = _config(root, path)
    before = dataset_states(config)
    loop.run(config, QuickWorkers())
    note_complete(config, before)
    assert is_unchanged(config)
    _written(root / "answers.jsonl", "test", [("q000", "p004")])
    assert not is_unchanged(config)


def test_a_mistake_in_the_file_is_told_before_any_work(root):
    """A line about another dataset's page that costs a night of encoding, or changes nothing."""
    for dataset, pair, told in (
        ("tset", ("q000", "p000"), r"line 1: .*'tset'; did you mean test\?"),
        ("test", ("q0000", "p000"), r"line 1: the dataset test has no 'query_id' q0000; did you"),
        (
            "train",
            ("q000", "p0023"),
            r"line 1: the dataset train has no 'page_id' p0023; did you mean",
        ),
    ):
        (root / "answers.jsonl").unlink(missing_ok=True)
        path = _written(root / "answers.jsonl", dataset, [pair])
        with pytest.raises(DatasetError, match=told):
            loop.run(_config(root, path, run={"name": "new"}), NoWorkers())
    assert not (root / "runs" / "new" / "run.json").exists()


def test_a_mistake_is_told_by_the_line_of_the_file_that_was_given(tmp_path):
    """The line of a sorted copy, of which nobody knows, where a dataset has to be copied first."""
    path = _written(tmp_path / "answers.jsonl", "train", [("q001", "p001"), ("q000", "p0")])
    config = _config(tmp_path, path)
    train = config.data.train.model_copy(update={"relevant_from": 1.0})
    config = config.model_copy(update={"data": config.data.model_copy(update={"train": train})})
    with pytest.raises(DatasetError) as caught:
        loop.run(config, NoWorkers())
    assert str(caught.value).startswith(f"{path}: line 2: the dataset train has no 'page_id' p0")
    assert not list((tmp_path / "runs" / "datasets").glob("judgements-*"))


def test_the_log_says_how_much_was_answered(root, caplog):
    """A file that was given, and of which nobody knows whether it was heard."""
    path = _written(root / "answers.jsonl", "test", [("q000", "p005"), ("q001", "p005")])
    _written(Path(path), "test", [("q002", "p002")], score=0)
    with caplog.at_level("INFO", "colintern"):
        loop.run(_config(root, path), QuickWorkers())
    assert "test: 3 judgements of people: 2 pages are right, 1 are not" in caplog.text
