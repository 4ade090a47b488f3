"""The named benchmarks: the datasets and commits that mteb itself takes."""

import re
from importlib.metadata import version

import pytest

from colintern.config.benchmarks import benchmarks, mteb_version, tasks, whole_benchmarks
from colintern.config.files import parse_config
from colintern.config.schema import Config
from colintern.errors import ConfigError


def _config(*tests, **data) -> Config:
    return parse_config({"data": {"train": "demo", "eval": list(tests), **data}}, "test")


def test_the_tasks_are_those_of_mteb():
    """Figures of another commit, or of other test sets, beside those of a leaderboard."""
    mteb = pytest.importorskip("mteb.get_tasks")
    if version("mteb") != mteb_version():
        pytest.skip(f"mteb {version('mteb')} is installed, not {mteb_version()}")
    registered = mteb._TASKS_REGISTRY
    theirs = {name for name in registered if re.fullmatch(r"Vidore[23]?[A-Z]\w+Retrieval", name)}
    private = {name for benchmark in benchmarks().values() for name in benchmark.private_tasks}
    assert theirs == tasks().keys() | private
    assert not any(registered[name].metadata.is_public for name in private)
    for benchmark in benchmarks().values():
        for own in benchmark.tasks:
            task = registered[own.task].metadata
            assert task.is_public
            assert (own.task, own.main_score) == (task.name, task.main_score)
            assert {"path": own.path, "revision": own.revision} == task.dataset
            languages = {name: list(found) for name, found in own.languages.items()}
            assert languages == task.hf_subsets_to_langscripts
            assert task.eval_splits == ["test"]


@pytest.mark.parametrize(("name", "num_datasets"), [("vidore-v1", 10), ("vidore-v2", 4)])
def test_a_benchmark_stands_for_its_datasets(name, num_datasets):
    """A list of paths and commits that every user copies together, and one of them wrong."""
    found = _config(name, "demo").data.eval
    assert len(found) == num_datasets + 1
    assert all(dataset.revision and dataset.task for dataset in found[:-1])
    assert all(dataset.name.startswith(f"{name}-") for dataset in found[:-1])
    assert [b.name for b in whole_benchmarks([dataset.task for dataset in found])] == [name]


def test_the_languages_of_v3_are_read_together():
    """The same pages encoded six times, once for each language of the questions."""
    found = _config("vidore-v3").data.eval
    assert len(found) == 8
    assert {dataset.config for dataset in found} == {
        ("french", "spanish", "english", "german", "italian", "portuguese")
    }
    assert {dataset.path.rpartition("/")[0] for dataset in found} == {"vidore"}


def test_local_copies_are_called_like_the_datasets():
    """A benchmark that only a machine with the Hub can run."""
    found = _config({"path": "vidore-v2:/data/vidore/"}).data.eval
    assert [dataset.path for dataset in found][:2] == [
        "/data/vidore/esg_reports_v2",
        "/data/vidore/economics_reports_v2",
    ]
    assert {dataset.revision for dataset in found} == {None}
    assert found[0].name == "vidore-v2-ESGReports"


def test_what_a_run_has_recorded_is_read_back():
    """A run folder that cannot be opened, because JSON has no tuples."""
    config = _config("vidore-v3")
    assert parse_config(config.model_dump(mode="json"), "run.json") == config


def test_a_part_of_a_benchmark_is_no_benchmark():
    """Published figures beside the mean of three test sets of four."""
    some = [dataset.task for dataset in _config("vidore-v2").data.eval[:3]]
    assert whole_benchmarks([*some, None]) == []


def test_a_benchmark_is_told_where_it_cannot_stand():
    """A folder called vidore-v2 that is looked for, after minutes."""
    with pytest.raises(ConfigError, match="vidore-v1 stands for several test sets; name it in"):
        _config(train="vidore-v1")
    with pytest.raises(ConfigError, match=r"vidore-v2 stands for several.* share 'language'"):
        _config({"path": "vidore-v2", "language": "english"})
    with pytest.raises(ConfigError, match="vidore-v2: names no folder; give vidore-v2:FOLDER"):
        _config("vidore-v2:")
    with pytest.raises(ConfigError, match="two datasets are called 'vidore-v2-BioMedicalLectures'"):
        _config("vidore-v2", "vidore-v2:/data")
