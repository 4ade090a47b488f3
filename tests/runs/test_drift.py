"""What may change under a recorded run, and what may not."""

import shutil
from pathlib import Path

import pytest

from colintern import storage
from colintern.config.schema import Config
from colintern.errors import BackboneError, ConfigError, DatasetError, DriftError, PathError
from colintern.runs import loop
from colintern.runs.runner import open_run
from colintern.runs.status import table_lines
from tests.helpers import make_corpus
from tests.local_run import NoWorkers, QuickWorkers, make_config


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A root with datasets and one finished run."""
    root = tmp_path_factory.mktemp("finished")
    loop.run(make_config(root), QuickWorkers())
    return root


def test_a_change_of_a_recorded_stage_is_refused(finished):
    """A new learning rate mixed into a run that was trained with another one."""
    for sections, found in (
        ({"training": {"learning_rate": 0.1}}, r"round-1-train.*learning_rate: 0.002 -> 0.1"),
        ({"heads": {"dim": 32}}, r"round-0-heads.*heads.dim: 16 -> 32"),
        ({"mining": {"range_max": 7}}, r"round-2-mine.*mining.range_max: 50 -> 7"),
        ({"backbone": {"max_tiles": 3}}, r"encode-train.*max_tiles: 12 -> 3"),
    ):
        merged = make_config(finished).model_dump(mode="json")
        for section, values in sections.items():
            sections = {section: {**merged[section], **values}}
        with pytest.raises(DriftError, match=found):
            loop.run(make_config(finished, **sections), QuickWorkers())


def test_a_new_test_set_does_not_hide_a_drift(finished, tmp_path):
    """Another learning rate slipped in beside a test set that is not encoded yet."""
    make_corpus(tmp_path / "second", num_pages=4, num_queries=4)
    sets = [str(finished / "test"), str(tmp_path / "second")]
    changed = make_config(finished, data={"eval": sets}, training={"learning_rate": 0.1})
    with pytest.raises(DriftError, match="learning_rate"):
        loop.run(changed, QuickWorkers())


def test_another_training_set_is_refused_before_it_is_encoded(finished, tmp_path):
    """Hours of encoding, and run.json of the finished run overwritten, before the refusal."""
    make_corpus(tmp_path / "other", num_pages=12, num_queries=12)
    before = (finished / "runs" / "run" / "run.json").read_bytes()
    with pytest.raises(DriftError, match=r"another dataset than data\.train=other"):
        loop.run(make_config(finished, data={"train": str(tmp_path / "other")}), QuickWorkers())
    assert (finished / "runs" / "run" / "run.json").read_bytes() == before


def test_a_change_is_refused_before_a_basis_is_made(finished, tmp_path):
    """Minutes of a GPU, or hours of a CPU, for a basis of settings that are refused then."""
    make_corpus(tmp_path / "other", num_pages=12, num_queries=12)
    other = {"train": str(tmp_path / "other")}
    for sections, found in (
        ({"features": {"pca_dim": 5}}, r"encode-train.*features\.pca_dim: null -> 5"),
        ({"features": {"pca_dim": 5}, "data": other}, r"another dataset than data\.train=other"),
    ):
        with (
            pytest.raises(DriftError, match=found),
            open_run(make_config(finished, **sections), workers=NoWorkers()),
        ):
            pass
    assert not list((finished / "runs" / "features").glob("basis-*"))


def test_a_test_set_added_to_a_finished_run_is_measured_after_every_round(finished, tmp_path):
    """A loop that has decided to stop, and so never comes to the last round again."""
    make_corpus(tmp_path / "late", num_pages=4, num_queries=4)
    first, workers = make_config(finished, run={"name": "grown"}), QuickWorkers()
    assert len(table_lines(loop.run(first, workers).path)) == 1 + 2 * 2 * 3
    workers.measured.clear()
    grown = {"eval": [str(finished / "test"), str(tmp_path / "late")]}
    folder = loop.run(make_config(finished, run={"name": "grown"}, data=grown), workers)
    assert len(table_lines(folder.path)) == 1 + 2 * 3 * 3
    assert workers.measured == [(number, "late") for number in range(3)]


def test_going_on_with_other_machines_and_more_rounds_is_allowed(finished):
    """A run that cannot be continued because of a key that changes nothing."""
    name = {"run": {"name": "longer"}}
    loop.run(make_config(finished, **name), QuickWorkers())
    config = make_config(
        finished,
        **name,
        cluster={"mining_workers": 2},
        features={"cache_bytes": 0},
        loop={"max_rounds": 3, "patience": 3},
        evaluation={"cutoffs": [1, 5, 10, 20]},
    )
    folder = loop.run(config, QuickWorkers())
    decided = storage.read_json(folder.loop_json)
    assert [entry["round"] for entry in decided["rounds"]] == [1, 2, 3]
    assert storage.exists(folder.record_path("round-3-mine"))


def test_a_store_that_is_gone_is_made_again(finished, tmp_path):
    """A run that says: run colintern encode, which then does nothing."""
    features = tmp_path / "features"
    config = make_config(finished, run={"name": "moved"}, features={"root": str(features)})
    loop.encode(config, QuickWorkers())
    before = {path.name for path in features.rglob("*.safetensors")}
    for store in features.iterdir():
        if store.is_dir():
            shutil.rmtree(store)
    loop.encode(config, QuickWorkers())
    assert before
    assert {path.name for path in features.rglob("*.safetensors")} == before


class _Idle:
    """Whoever has work for these workers fails."""

    def encode(self, *_) -> None:
        raise AssertionError("work before the refusal")

    train = search = encode


def _refused(config: Config, found: str) -> None:
    """Make sure that a start is refused before any work, and that the run stays what it is."""
    before = _files(config)
    with pytest.raises(DriftError, match=found):
        loop.run(config, _Idle())  # pyright: ignore[reportArgumentType]
    assert _files(config) == before


def _files(config: Config) -> dict[Path, bytes]:
    told = ("*.json", "records/*.json")
    return {path: path.read_bytes() for glob in told for path in Path(config.run_path).glob(glob)}


def test_a_dev_set_of_its_own_is_refused_before_it_is_encoded(finished, tmp_path):
    """Hours of encoding, and run.json of the finished run overwritten, before the refusal."""
    make_corpus(tmp_path / "own", num_pages=7, num_queries=9, first_picture=300)
    changed = make_config(finished, data={"dev": str(tmp_path / "own")})
    _refused(changed, r"data\.dev_fraction: 0\.\d+ -> null")


def test_negatives_for_a_run_without_are_refused_before_they_are_mined(finished):
    """A whole mining pass, and run.json overwritten, before the refusal."""
    name = {"run": {"name": "unmined"}}
    loop.run(make_config(finished, **name, training={"negatives_per_query": 0}), QuickWorkers())
    changed = make_config(finished, **name, training={"negatives_per_query": 4})
    _refused(changed, r"round-2-train.*negatives_per_query: 0 -> 4")


def test_a_drift_is_told_before_a_store_that_is_lost_is_made_again(finished, tmp_path):
    """A corpus encoded for hours, and then the refusal of another temperature."""
    features = {"root": str(tmp_path / "features")}
    settings = {"run": {"name": "lost"}, "features": features}
    loop.run(make_config(finished, **settings), QuickWorkers())
    shutil.rmtree(tmp_path / "features")
    for section, key, value, found in (
        ("training", "temperature", 0.5, r"round-1-train.*temperature"),
        ("mining", "range_max", 7, r"round-2-mine.*range_max"),
        ("heads", "dim", 32, r"round-0-heads.*heads\.dim"),
    ):
        merged = {**make_config(finished).model_dump(mode="json")[section], key: value}
        _refused(make_config(finished, **settings, **{section: merged}), found)


@pytest.mark.parametrize(
    ("sections", "error"),
    [
        ({"backbone": {"path": "/no/backbone"}}, BackboneError),
        ({"data": {"train": "/no/dataset"}}, DatasetError),
        ({"training": {"init_heads": "/no/heads"}}, PathError),
        ({"features": {"pca_dim": 10_000}}, ConfigError),
    ],
)
def test_a_run_that_is_refused_leaves_nothing(tmp_path, sections, error):
    """Empty folders of runs that never were, in every list of a root."""
    config = make_config(tmp_path, run={"name": "new", "root": str(tmp_path / "a/b")}, **sections)
    with pytest.raises(error):
        loop.run(config, QuickWorkers())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["test", "train"]


def test_a_drift_leaves_no_store(finished, monkeypatch):
    """A folder of features, with remembered hashes in it, for settings that were refused."""
    monkeypatch.setattr("colintern.data.hashes._SETTLED_SECONDS", -1.0)
    before = sorted(finished.rglob("*"))
    merged = make_config(finished).model_dump(mode="json")["backbone"]
    with pytest.raises(DriftError, match=r"encode-train.*max_tiles: 12 -> 3\)"):
        loop.run(make_config(finished, backbone={**merged, "max_tiles": 3}), QuickWorkers())
    assert sorted(finished.rglob("*")) == before


def test_a_root_that_is_a_file_is_told(tmp_path):
    """A traceback about a folder that cannot be made."""
    (tmp_path / "root").write_text("")
    config = make_config(tmp_path, run={"root": str(tmp_path / "root")})
    with pytest.raises(PathError, match=r"root/run.*"):
        loop.run(config, QuickWorkers())
